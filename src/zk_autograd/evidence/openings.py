"""Openings: what a trainer shows one auditor of a run, so that they can take its steps again.

A file of one run, for some of its segments: of each the state before it, its gradients, and the
secrets of the commitments to these and to the state after; and what opens the commitment to the
data. The trainer seals it for the auditor's recipient key (`zk-run open`); this module knows what
is inside.

    "zk-autograd/openings/v1\\n" | length of the index, 8 bytes, big-endian | index | segments

The index is canonical JSON; segment i of it has `bytes` bytes: the states in the order of the
header's, int64 each, then the gradients, int32, step by step: all little-endian. Nothing in it is
believed: every part is held against a commitment of the log.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from zk_autograd.core.canonical import Json, decode, encode
from zk_autograd.core.errors import VerificationError
from zk_autograd.core.fields import Fields
from zk_autograd.core.formats import IntArray
from zk_autograd.core.records import MAX_SEGMENT_STEPS, MAX_STEP, Header

FORMAT = b"zk-autograd/openings/v1\n"
MAX_INDEX = 256 * 2**20
MAX_ROWS = 2**32

SaltsByState = Mapping[str, tuple[bytes, ...]]
"""For each state the salts of its blocks' commitments, in block order."""


@dataclass(frozen=True, slots=True)
class Table:
    """How the cells are made again from the table that the training read: `name` as the trainer
    calls it, the label's column and the classes in their order, the features' columns with mean and
    deviation (decimal texts that read back to the same float64), and the table's rows that are the
    examples, in order."""

    name: str
    label: str
    classes: tuple[str, ...]
    columns: tuple[str, ...]
    means: tuple[str, ...]
    deviations: tuple[str, ...]
    rows: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class DataSecrets:
    """What opens the commitment to the data: the salts of its shards, or the one secret of its
    tree; of a run without exact gradients also the seed of its order. `table` is None where the
    cells themselves are the only source."""

    salts: tuple[bytes, ...]
    table: Table | None = None
    seed: int | None = None


@dataclass(frozen=True, slots=True)
class SegmentSecrets:
    """Segment `index`, of steps `first` .. `last`: the salts of its commitments, as its record has
    these."""

    index: int
    first: int
    last: int
    state_in: SaltsByState
    state_out: SaltsByState
    gradients: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class Index:
    """Which run (its header's digest), under which head of its log, which segments in ascending
    order, and the data's secrets (None: data that are public). `chosen`: "all", "challenge" (the
    verifier's) or "trainer": who chose the segments, by the trainer's word."""

    run: bytes
    root: bytes
    size: int
    chosen: str
    segments: tuple[SegmentSecrets, ...]
    data: DataSecrets | None


@dataclass(frozen=True, slots=True, eq=False)
class OpenedSegment:
    """A segment's secrets, the state before it, int64 (size,) each, and its gradients, int32
    (steps, size)."""

    secrets: SegmentSecrets
    state: dict[str, IntArray] = field(repr=False)
    gradients: NDArray[np.int32] = field(repr=False)


def encode_index(index: Index, header: Header) -> bytes:
    """The beginning of a file: all of it but the segments. Follow it with the bytes of
    `encode_segment` of each, in order."""
    said = encode(
        {
            "run": index.run.hex(),
            "root": index.root.hex(),
            "size": index.size,
            "chosen": index.chosen,
            "segments": [_write_segment(one, header) for one in index.segments],
            "data": {} if index.data is None else _write_data(index.data),
        }
    )
    return FORMAT + len(said).to_bytes(8, "big") + said


def encode_segment(header: Header, state: Mapping[str, IntArray], gradients: NDArray[np.int32]) -> Iterator[bytes]:
    """The bytes of one segment, piece by piece."""
    for name in header.states:
        yield np.ascontiguousarray(state[name], "<i8").tobytes()
    for row in gradients:
        yield np.ascontiguousarray(row, "<i4").tobytes()


class Openings:
    """An openings file that is read, of the run with this header; use `segments` once."""

    def __init__(self, file: BinaryIO, header: Header) -> None:
        """Reads the index. VerificationError for what isn't one of this run's form."""
        self._file = file
        self._header = header
        begun = _exactly(file, len(FORMAT) + 8)
        if not begun.startswith(FORMAT):
            raise VerificationError("this is not a file of openings", expected=repr(FORMAT.decode()))
        length = int.from_bytes(begun[len(FORMAT) :], "big")
        if length > MAX_INDEX:
            raise VerificationError("the index of the openings is too large", found=f"{length} bytes")
        self.index = _read_index(Fields(decode(_exactly(file, length), max_bytes=MAX_INDEX), "openings"), header)

    def segments(self) -> Iterator[OpenedSegment]:
        """Each opened segment in order, one in memory at a time. VerificationError for a file that
        is cut or longer than it says."""
        size, states = self._header.size, self._header.states
        for secrets in self.index.segments:
            state = {name: np.frombuffer(_exactly(self._file, 8 * size), "<i8").astype(np.int64) for name in states}
            steps = secrets.last - secrets.first + 1
            rows = np.empty((steps, size), np.int32)
            for row in rows:
                row[:] = np.frombuffer(_exactly(self._file, 4 * size), "<i4")
            yield OpenedSegment(secrets, state, rows)
        if self._file.read(1):
            raise VerificationError("the openings are longer than their index says")


def _exactly(file: BinaryIO, length: int) -> bytes:
    data = file.read(length)
    if len(data) != length:
        raise VerificationError("the openings are cut short", expected=f"{length} bytes more", found=str(len(data)))
    return data


def _hexes(values: tuple[bytes, ...]) -> list[Json]:
    return [value.hex() for value in values]


def _write_segment(one: SegmentSecrets, header: Header) -> Json:
    return {
        "index": one.index,
        "first": one.first,
        "last": one.last,
        "state_in": {name: _hexes(one.state_in[name]) for name in header.states},
        "state_out": {name: _hexes(one.state_out[name]) for name in header.states},
        "gradients": _hexes(one.gradients),
    }


def _write_data(data: DataSecrets) -> dict[str, Json]:
    said: dict[str, Json] = {"salts": _hexes(data.salts)}
    if data.seed is not None:
        said["seed"] = str(data.seed)
    if data.table is not None:
        said["table"] = written_table(data.table)
    return said


def written_table(table: Table) -> Json:
    """A table as canonical JSON has it."""
    return {
        "name": table.name,
        "label": table.label,
        "classes": list(table.classes),
        "columns": list(table.columns),
        "means": list(table.means),
        "deviations": list(table.deviations),
        "rows": list(table.rows),
    }


def _read_index(f: Fields, header: Header) -> Index:
    segments = tuple(_read_segment(one, header) for one in f.objects("segments", max_items=MAX_STEP))
    if [one.index for one in segments] != sorted({one.index for one in segments}):
        raise VerificationError("the opened segments are not in ascending order")
    data = f.object("data")
    index = Index(
        run=f.hex("run", 32),
        root=f.hex("root", 32),
        size=f.integer("size", 1, MAX_STEP),
        chosen=f.choice("chosen", ("all", "challenge", "trainer")),
        segments=segments,
        data=_read_data(data) if "salts" in data else None,
    )
    data.end()
    f.end()
    return index


def _salts(f: Fields, name: str, header: Header) -> tuple[bytes, ...]:
    count = len(header.blocks)
    return tuple(v.hex(header.prover.form.salt_bytes) for v in f.array(name, max_items=count, min_items=count))


def _read_segment(f: Fields, header: Header) -> SegmentSecrets:
    def states(name: str) -> dict[str, tuple[bytes, ...]]:
        own = f.object(name)
        found = {state: _salts(own, state, header) for state in header.states}
        own.end()
        return found

    first = f.integer("first", 1, MAX_STEP)
    last = f.integer("last", first, first + MAX_SEGMENT_STEPS - 1)
    one = SegmentSecrets(
        f.integer("index", 0, MAX_STEP),
        first,
        last,
        states("state_in"),
        states("state_out"),
        _salts(f, "gradients", header),
    )
    f.end()
    return one


def _read_data(f: Fields) -> DataSecrets:
    salts = tuple(v.hex(32) for v in f.array("salts", max_items=2**16))
    seed = f.text("seed", max_len=20) if "seed" in f else None
    if seed is not None and not (seed.isascii() and seed.isdigit() and int(seed) < 2**64):
        raise VerificationError("the seed of the openings is not a number below 2^64")
    table = read_table(f.object("table")) if "table" in f else None
    return DataSecrets(salts, table, None if seed is None else int(seed))


def read_table(f: Fields) -> Table:
    """The table of such an object. VerificationError."""
    columns = tuple(f.texts("columns", max_items=2**20, max_len=1000))
    table = Table(
        name=f.text("name", max_len=5000),
        label=f.text("label", max_len=1000),
        classes=tuple(f.texts("classes", max_items=2**20, max_len=1000)),
        columns=columns,
        means=_decimals(f, "means", len(columns)),
        deviations=_decimals(f, "deviations", len(columns)),
        rows=tuple(v.integer(0, MAX_ROWS) for v in f.array("rows", max_items=MAX_ROWS)),
    )
    f.end()
    return table


def _decimals(f: Fields, name: str, count: int) -> tuple[str, ...]:
    """Texts that read as float64 and back to themselves."""
    found = tuple(v.text(max_len=40) for v in f.array(name, max_items=count, min_items=count))
    for text in found:
        try:
            same = repr(float(text)) == text
        except ValueError:
            same = False
        if not same:
            raise VerificationError(f"openings.{name} holds a text that is no float64's shortest", found=repr(text))
    return found
