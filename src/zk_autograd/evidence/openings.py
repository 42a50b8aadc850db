"""Openings: what a trainer shows one auditor of a run, so that they can take its steps again.

A file of one run, for some of its segments: of each the state before it, its gradients, and the
salts of the commitments to these and to the state after; and what opens the commitment to the data.
The trainer seals it for the auditor's recipient key (`zk-run open`); this module knows what is
inside.

    "zk-autograd/openings/v1\n" | length of the index, 8 bytes, big-endian | index | segments

The index is canonical JSON; it names the segments as ranges, [first, last] each. A segment is the
salts of the states before, of those after (each in the order of the header's states, block by
block) and of the gradients; then the states before, int64; then the gradients, int32, step by step:
all little-endian. How long a segment is follows from the header and the segment's record; the file
says nothing of it. Nothing in it is believed: every part is held against a commitment of the log.
"""

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from zk_autograd.core.canonical import Json, decode, encode
from zk_autograd.core.errors import UnreadableError, VerificationError
from zk_autograd.core.fields import Fields
from zk_autograd.core.formats import IntArray
from zk_autograd.core.records import MAX_STEP, Header, Log, Segment
from zk_autograd.evidence.data_secrets import DataSecrets, read_data, write_data

FORMAT = b"zk-autograd/openings/v1\n"
MAX_INDEX = 256 * 2**20
MAX_RANGES = 2**20
CHOSEN = ("all", "challenge", "trainer")

_LENGTH = 8

SaltsByState = Mapping[str, tuple[bytes, ...]]
"""For each state the salts of its blocks' commitments, in block order."""


@dataclass(frozen=True, slots=True)
class SegmentSecrets:
    """Segment `index`, of steps `first` .. `last`: the salts of its commitments, as its record has
    these."""

    index: int
    first: int
    last: int
    state_in: SaltsByState = field(repr=False)
    state_out: SaltsByState = field(repr=False)
    gradients: tuple[bytes, ...] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Index:
    """Which run (its header's digest), under which head of its log, which segments in ascending
    order, and the data's secrets (None: nothing is said of the data). `chosen`, one of CHOSEN: who
    chose the segments, by the trainer's word."""

    run: bytes
    root: bytes
    size: int
    chosen: str
    segments: tuple[int, ...]
    data: DataSecrets | None


@dataclass(frozen=True, slots=True, eq=False)
class OpenedSegment:
    """A segment's secrets, the state before it, int64 (size,) each, and its gradients, int32
    (steps, size)."""

    secrets: SegmentSecrets
    state: dict[str, IntArray] = field(repr=False)
    gradients: NDArray[np.int32] = field(repr=False)


def encode_index(index: Index) -> bytes:
    """The beginning of a file: all of it but the segments. Follow it with the bytes of
    `encode_segment` of each, in order."""
    said = encode(
        {
            "run": index.run.hex(),
            "root": index.root.hex(),
            "size": index.size,
            "chosen": index.chosen,
            "segments": _ranges(index.segments),
            "data": {} if index.data is None else write_data(index.data),
        }
    )
    return FORMAT + len(said).to_bytes(_LENGTH, "big") + said


def encode_segment(
    header: Header, secrets: SegmentSecrets, state: Mapping[str, IntArray], gradients: Iterator[NDArray[np.int32]]
) -> Iterator[bytes]:
    """The bytes of one segment, piece by piece. `gradients` are those of its steps, int32 (size,)
    each."""
    for salts in (*_by_state(header, secrets.state_in), *_by_state(header, secrets.state_out), secrets.gradients):
        yield b"".join(salts)
    for name in header.states:
        yield np.ascontiguousarray(state[name], "<i8").tobytes()
    for row in gradients:
        yield np.ascontiguousarray(row, "<i4").tobytes()


def segment_bytes(header: Header, segment: Segment) -> int:
    """How many bytes `encode_segment` gives of the segment with this record. VerificationError for
    a record of more steps than the run's segments have."""
    steps, states = segment.last - segment.first + 1, len(header.states)
    if not 1 <= steps <= header.prover.steps:
        raise VerificationError(
            f"segment {segment.index} has more steps than a segment of this run, or none",
            expected=f"1 to {header.prover.steps}",
            found=str(steps),
        )
    salts = (2 * states + 1) * len(header.blocks) * header.prover.form.salt_bytes
    return salts + (8 * states + 4 * steps) * header.size


class Openings:
    """An openings file that is read, of the run with this log."""

    def __init__(self, file: BinaryIO, log: Log) -> None:
        """Reads the index, and compares the file's length with what its segments take; `file` can
        be sought in. VerificationError for what isn't a file of this run's openings, of segments
        that its log has; whether root and size are those that are judged isn't looked at.
        """
        self._file, self._log = file, log
        begun = _exactly(file, len(FORMAT) + _LENGTH)
        if not begun.startswith(FORMAT):
            raise VerificationError("this is not a file of openings", expected=repr(FORMAT.decode()))
        length = int.from_bytes(begun[len(FORMAT) :], "big")
        if length > MAX_INDEX:
            raise VerificationError("the index of the openings is too large", found=f"{length} bytes")
        said = Fields(decode(_exactly(file, length), max_bytes=MAX_INDEX), "openings")
        self.index = _read_index(said, log)
        self._begin = len(begun) + length
        self._require_length()

    def segments(self) -> Iterator[OpenedSegment]:
        """Each opened segment in order, one in memory at a time. VerificationError for a file that
        was cut meanwhile."""
        _seek(self._file, self._begin)
        for number in self.index.segments:
            yield self._read(self._log.segments[number])

    def _read(self, record: Segment) -> OpenedSegment:
        header = self._log.header
        salts = [self._salts() for _ in range(2 * len(header.states) + 1)]
        before, after = (dict(zip(header.states, salts[i:], strict=False)) for i in (0, len(header.states)))
        secrets = SegmentSecrets(record.index, record.first, record.last, before, after, salts[-1])
        state = {
            name: np.frombuffer(_exactly(self._file, 8 * header.size), "<i8").astype(np.int64, copy=False)
            for name in header.states
        }
        rows = np.empty((record.last - record.first + 1, header.size), np.int32)
        for row in rows:
            row[:] = np.frombuffer(_exactly(self._file, 4 * header.size), "<i4")
        return OpenedSegment(secrets, state, rows)

    def _salts(self) -> tuple[bytes, ...]:
        each, blocks = self._log.header.prover.form.salt_bytes, len(self._log.header.blocks)
        joined = _exactly(self._file, each * blocks)
        return tuple(joined[i : i + each] for i in range(0, len(joined), each))

    def _require_length(self) -> None:
        """VerificationError unless the segments end where the file does: before any is read."""
        header = self._log.header
        whole = self._begin + sum(segment_bytes(header, self._log.segments[i]) for i in self.index.segments)
        found = _seek(self._file, 0, os.SEEK_END)
        if found != whole:
            raise VerificationError(
                "the openings are not as long as the segments of this log are",
                expected=f"{whole} bytes",
                found=f"{found} bytes",
            )


def _exactly(file: BinaryIO, length: int) -> bytes:
    try:
        data = file.read(length)
    except OSError as error:
        raise UnreadableError(f"the openings can't be read: {error.strerror}") from error
    if len(data) != length:
        raise VerificationError("the openings are cut short", expected=f"{length} bytes more", found=str(len(data)))
    return data


def _seek(file: BinaryIO, offset: int, whence: int = os.SEEK_SET) -> int:
    try:
        return file.seek(offset, whence)
    except OSError as error:
        raise UnreadableError(f"the openings can't be read: {error.strerror}") from error


def _by_state(header: Header, salts: SaltsByState) -> list[tuple[bytes, ...]]:
    return [salts[name] for name in header.states]


def _ranges(segments: Sequence[int]) -> list[Json]:
    """Ascending numbers as [first, last] of each unbroken row of them."""
    rows = (list(row) for _, row in groupby(enumerate(segments), lambda at: at[1] - at[0]))
    return [[row[0][1], row[-1][1]] for row in rows]


def _read_index(f: Fields, log: Log) -> Index:
    run = f.hex("run", 32)
    if run != log.header_digest:
        raise VerificationError(
            "the openings are of another run", expected=f"header digest {log.header_digest.hex()}", found=run.hex()
        )
    data = f.object("data")
    index = Index(
        run,
        root=f.hex("root", 32),
        size=f.integer("size", 1, MAX_STEP),
        chosen=f.choice("chosen", CHOSEN),
        segments=_read_segments(f, len(log.segments)),
        data=read_data(data) if "salts" in data else None,
    )
    data.end()
    f.end()
    return index


def _read_segments(f: Fields, count: int) -> tuple[int, ...]:
    """Their numbers. VerificationError for ranges that touch, overlap or descend, and for what a
    log of `count` segments lacks: so there are never more than it has."""
    found: list[range] = []
    for item in f.array("segments", max_items=MAX_RANGES, min_items=1):
        first, last = (end.integer(0, MAX_STEP) for end in item.array(max_items=2, min_items=2))
        if last < first or (found and first <= found[-1].stop):
            raise VerificationError("the opened segments are not in ascending ranges", found=f"{first} to {last}")
        if last >= count:
            raise VerificationError(
                f"segment {last} is opened, which the log doesn't have", expected=f"at most {count - 1}"
            )
        found.append(range(first, last + 1))
    return tuple(number for row in found for number in row)
