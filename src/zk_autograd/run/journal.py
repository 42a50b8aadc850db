"""The journal: every step of a run, durable before it is acknowledged. A crash loses nothing that
was acknowledged.

    segments/<i>/journal    the state before the segment's first step, and the salts of all its
                            commitments; then, appended, a frame for each step: gradients, what the
                            record claims of them, the caller's loop state after it, the optimizer's
                            settings (run.frames)
    segments/<i>/proof-<b>  a proof that is not yet published
    segments/<i>/published  the hashes of the proofs that may be public

A step costs one sync of its file; a segment's beginning costs three, of the file and of two
folders. With `sync_every` K only each K-th step is synced: a killed process still loses nothing,
but a power cut may take up to K - 1 acknowledged steps, the newest ones.

A segment is sealed (no step is added any more, and its proofs can be made) by the journal of the
next one: one atomic write says where it ends and what it led to. What the sealed one holds is
durable before that, whatever K; so a record never names a step that a power cut took. The salts of
its state-out are those of the next one's state-in: one commitment for both.

`published` is written *before* a proof leaves this folder. Each further proof of the same statement
opens its commitments at another point, and a salt hides only so many openings
(Backend.different_proofs).

A segment that an earlier version began has files instead (run.step_files), and gets the rest of its
steps in the same way.
"""

import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from zk_autograd.core.canonical import Json
from zk_autograd.core.errors import RunError, StorageError, VerificationError
from zk_autograd.core.formats import GRADIENT_BOUND
from zk_autograd.core.records import MAX_PARAMETERS, MAX_STEP, Header
from zk_autograd.evidence.files import open_bounded, read_bounded
from zk_autograd.evidence.layout import MAX_PROOF
from zk_autograd.run import frames
from zk_autograd.run.claims import Claims
from zk_autograd.run.digests import fastest
from zk_autograd.run.files import PRIVATE_FILE, Files, exists, names_in, of_the_run
from zk_autograd.run.frames import TABLE, End, Found, Frame, Place
from zk_autograd.run.narrow import Table, pack, table_bytes
from zk_autograd.run.private_file import damaged, encode, read
from zk_autograd.run.segment import MAX_LOOP_STATE, MAX_REST, Salts, Start, Step, Told
from zk_autograd.run.step_files import StepFiles

__all__ = ["MAX_LOOP_STATE", "Journal", "Salts", "Start", "Step", "Told", "read_proof"]

_MAX_HASHES = 1024
"""Proofs of a block that may be public: each of them opens its commitments at another point."""

_HASH_BYTES = 32
MAX_FILE = 2**63 - 1
"""Bytes of a segment's file: it is read frame by frame, each of which is bounded."""

_NUMBER = re.compile(r"0|[1-9][0-9]{0,14}")
_STATE_BYTES = 8
_GRADIENT_BYTES = 4


@dataclass(frozen=True, slots=True, eq=False)
class _Segment:
    """A segment's file as it was read."""

    found: Found
    first: int
    told: list[Told]
    tables: dict[int, Table] = field(default_factory=dict)

    def frame(self, number: int) -> Frame:
        """That of a step. VerificationError if there is none."""
        if not 0 <= number - self.first < len(self.told):
            raise VerificationError(f"it has no step {number}")
        return self.found.frames[number - self.first + 1]


@dataclass(slots=True)
class _Tail:
    """Where the next frame goes: `frames` are there, `durable` of them surely on the disk."""

    segment: int
    end: End
    frames: int
    durable: int
    next_step: int


class Journal:
    """A run's folder `segments`. Reading raises RunError for what is missing, torn or altered,
    StorageError for what this installation can't read. One thread writes, others may read what is
    sealed."""

    def __init__(self, folder: Path, header: Header, digest: bytes, files: Files, sync_every: int = 1) -> None:
        """`digest` is that of the header; it binds each file to the run. Each `sync_every`-th step
        is synced, of the steps that this journal writes."""
        self._folder = folder
        self._header = header
        self._run = digest
        self._files = files
        self._sync_every = sync_every
        self._earlier = StepFiles(folder, header, digest, files)
        self._read: tuple[tuple[int, ...], _Segment] | None = None
        self._tail: _Tail | None = None

    def begin(self, start: Start) -> None:
        """Begins a segment, and so seals the one before it, which is synced first."""
        self.sync()
        folder = self._segment(start.segment)
        self._files.make_private_dir(folder)
        name = fastest()
        parts: dict[str, bytes] = {}
        for state, values in start.state.items():
            packed = pack(values, name)
            parts |= {f"state.{state}{TABLE}": packed.table, f"state.{state}": packed.data}
        parts |= {**start.salts.parts(), "loop": start.loop_state, "settings": start.settings}
        fields: dict[str, Json] = {"kind": "start", "first": start.first}
        place = self._place(start.segment)
        pieces, end = frames.encode(place, frames.begun(place), name, 0, fields, parts)
        self._files.write_stream(self._path(start.segment), [frames.MAGIC, *pieces], PRIVATE_FILE)
        self._tail = _Tail(start.segment, end, 1, 1, start.first)

    def start(self, segment: int) -> Start:
        """The segment's start."""
        if self._is_earlier(segment):
            return self._earlier.start(segment)
        with self._opened(segment) as fd:
            path = self._path(segment)
            frame = frames.read(fd, path, self._place(segment), 1, self._bound, first=True).frames[0]
            first = _first(frame)
            state = {
                name: self._table(fd, path, frame, f"state.{name}", _STATE_BYTES).read(
                    0, self._header.size, _reader(fd, path, frame, f"state.{name}")
                )
                for name in self._header.states
            }
            parts = {
                name: frames.part(fd, path, frame, name, MAX_LOOP_STATE if name == "loop" else MAX_REST)
                for name in frame.parts
                if not name.startswith("state.")
            }
            if any(len(parts.get(name, b"")) != size for name, size in self._salts_sizes().items()):
                raise VerificationError("its salts are missing, or of another size")
            salts = Salts.of_parts(parts, self._header)
            if not {"loop", "settings"} <= set(parts):
                raise VerificationError("a part of its start is missing")
        return Start(segment, first, state, salts, parts["loop"], parts["settings"])

    def write_step(self, segment: int, step: Step) -> None:
        """Appends the next step of the open segment. ValueError for gradients of 2^30 or more, and
        a step that isn't the next."""
        tail = self._tail
        if tail is None or tail.segment != segment:
            if self._is_earlier(segment):
                self._earlier.write_step(segment, step)
                return
            self.reopen(segment)
            self.mend()
            tail = self._tail
            assert tail is not None
        if step.number != tail.next_step:
            raise ValueError(f"step {step.number} can't follow step {tail.next_step - 1}")
        name, claims = fastest(), step.claims
        packed = pack(step.gradients, name)
        if not -GRADIENT_BOUND < packed.low <= packed.high < GRADIENT_BOUND:
            raise ValueError("the gradients don't fit their format")
        fields: dict[str, Json] = {
            "kind": "step",
            "step": step.number,
            "lr": list(step.lr),
            "loss": claims.loss,
            "saturated": claims.saturated,
            "batch": claims.batch.hex(),
        }
        parts = {f"G{TABLE}": packed.table, "G": packed.data, "loop": claims.loop_state, "settings": step.settings}
        pieces, end = frames.encode(self._place(segment), tail.end, name, tail.durable, fields, parts)
        sync = tail.frames + 1 - tail.durable >= self._sync_every
        path = self._path(segment)
        if _size(path) != tail.end.size:
            raise RunError(
                f"{path} was written to by somebody else, or exchanged, since the last step; restore it from a copy, and resume the run"
            )
        self._files.append(path, pieces, sync=sync)
        tail.end, tail.next_step, tail.frames = end, tail.next_step + 1, tail.frames + 1
        if sync:
            tail.durable = tail.frames

    def sync(self) -> None:
        """All steps that were written are durable."""
        tail = self._tail
        if tail is not None and tail.durable < tail.frames:
            self._files.sync(self._path(tail.segment))
            tail.durable = tail.frames

    def reopen(self, segment: int) -> list[int]:
        """The numbers of the whole steps of the open segment, which a crash may have left. The next
        one follows them; nothing is changed before `mend`."""
        self._tail = None
        if self._is_earlier(segment):
            return self._earlier.steps(segment)
        path = self._path(segment)
        with self._opened(segment) as fd:
            read = self._parsed(fd, segment)
            found = read.found
            whole = durable = max(found.frames[-1].durable, 1)
            while whole < len(found.frames) and self._is_whole(fd, path, found.frames[whole]):
                whole += 1
        numbers = [told.number for told in read.told[: whole - 1]]
        self._tail = _Tail(segment, found.frames[whole - 1].end, whole, durable, read.first + whole - 1)
        return numbers

    def mend(self) -> None:
        """Cuts off what a crash left behind the whole steps, and makes them durable."""
        tail = self._tail
        if tail is None:
            return
        path = self._path(tail.segment)
        if _size(path) > tail.end.size:
            self._files.truncate(path, tail.end.size)
            tail.durable = tail.frames
        self.sync()

    def step(self, segment: int, number: int) -> Step:
        """A step of a segment; its gradients are int32."""
        if self._is_earlier(segment):
            return self._earlier.step(segment, number)
        path = self._path(segment)
        with self._opened(segment) as fd:
            read = self._segment_read(fd, segment)
            frame, told = read.frame(number), read.told[number - read.first]
            table = self._table_of(fd, segment, read, number)
            gradients = table.read(0, self._header.size, _reader(fd, path, frame, "G"))
            loop = frames.part(fd, path, frame, "loop", MAX_LOOP_STATE)
            settings = frames.part(fd, path, frame, "settings", MAX_REST)
        claims = Claims(told.loss, told.saturated, told.batch, loop)
        return Step(number, gradients.astype(np.int32), told.lr, claims, settings)

    def told(self, segment: int) -> list[Told]:
        """What records tell of a segment's steps, in order."""
        if self._is_earlier(segment):
            return [Told.of(self._earlier.step(segment, number)) for number in self._earlier.steps(segment)]
        with self._opened(segment) as fd:
            return list(self._segment_read(fd, segment).told)

    def block(self, segment: int, offset: int, size: int, first: int, last: int) -> NDArray[np.int32]:
        """Of the steps `first` to `last` of a segment the `size` gradients from `offset` on: int32
        (steps, size). No others are read, but those of the same chunks (run.narrow)."""
        rows = np.empty((last - first + 1, size), np.int32)
        if self._is_earlier(segment):
            for row, number in zip(rows, range(first, last + 1), strict=True):
                row[:] = self._earlier.step(segment, number).gradients[offset : offset + size]
            return rows
        path = self._path(segment)
        with self._opened(segment) as fd:
            read = self._segment_read(fd, segment)
            for row, number in zip(rows, range(first, last + 1), strict=True):
                table = self._table_of(fd, segment, read, number)
                row[:] = table.read(offset, size, _reader(fd, path, read.frame(number), "G"))
        return rows

    def segments(self) -> list[int]:
        """The segments that were begun, in order. RunError if the folder can't be listed."""
        begun = [int(name) for name in names_in(self._folder) if _NUMBER.fullmatch(name)]
        return sorted(i for i in begun if exists(self._path(i)) or exists(self._earlier.start_path(i)))

    def steps(self, segment: int) -> list[int]:
        """The numbers of a segment's steps, in order, by their heads alone."""
        if self._is_earlier(segment):
            return self._earlier.steps(segment)
        with self._opened(segment) as fd:
            return [told.number for told in self._segment_read(fd, segment).told]

    def stage(self, segment: int, block: int, proof: bytes) -> None:
        """Keeps a proof that is not public yet."""
        self._files.write_atomic(self._staged(segment, block), proof)  # public soon; the folder is closed to others

    def staged(self, segment: int, block: int) -> bytes | None:
        """The proof that was kept, if there is one."""
        return read_proof(self._staged(segment, block))

    def unstage(self, segment: int, block: int) -> None:
        """Forgets the proof that was kept."""
        self._files.remove(self._staged(segment, block))

    def published(self, segment: int) -> dict[int, list[bytes]]:
        """For each block the SHA-256 hashes of its proofs that may be public."""
        path = self._published(segment)
        if not exists(path):
            return {}
        limit = len(self._header.blocks) * _MAX_HASHES * _HASH_BYTES + MAX_REST
        fields, parts = read(path, "published", self._run, limit)
        try:
            fields.integer("segment", segment, segment)
            fields.end()
        except VerificationError as error:
            raise damaged(path, str(error)) from error
        return {
            int(block): [hashes[i : i + _HASH_BYTES] for i in range(0, len(hashes), _HASH_BYTES)]
            for block, hashes in parts.items()
        }

    def publish(self, segment: int, block: int, proof: bytes) -> None:
        """Notes that a proof is about to become public. The same proof counts only once."""
        published = self.published(segment)
        hashes = published.setdefault(block, [])
        if (digest := sha256(proof).digest()) in hashes:
            return
        if len(hashes) == _MAX_HASHES:
            raise RunError(
                f"block {block} of segment {segment} already has {_MAX_HASHES} different proofs that may be public, and no more are allowed: "
                "restore one of them from a copy, or begin a new run"
            )
        hashes.append(digest)
        parts = {str(b): b"".join(found) for b, found in published.items()}
        frame = encode("published", self._run, {"segment": segment}, parts)
        self._files.write_atomic(self._published(segment), frame, PRIVATE_FILE)

    def path(self, segment: int) -> Path:
        """The folder of a segment, for messages."""
        return self._segment(segment)

    def _is_earlier(self, segment: int) -> bool:
        return not exists(self._path(segment)) and exists(self._earlier.start_path(segment))

    @contextmanager
    def _opened(self, segment: int) -> Iterator[int]:
        path = self._path(segment)
        try:
            with open_bounded(path, MAX_FILE) as fd:
                yield fd
        except VerificationError as error:
            raise of_the_run(error, str(damaged(path, str(error)))) from error

    def _segment_read(self, fd: int, segment: int) -> _Segment:
        """The heads of a segment's frames, read once as long as the file stays as it is."""
        read, status = self._read, os.fstat(fd)
        key = segment, status.st_ino, status.st_size, status.st_mtime_ns
        if read is None or read[0] != key:
            read = self._read = key, self._parsed(fd, segment)
        return read[1]

    def _parsed(self, fd: int, segment: int) -> _Segment:
        most = 1 + self._header.prover.steps
        found = frames.read(fd, self._path(segment), self._place(segment), most, self._bound)
        first = _first(found.frames[0])
        told = [_told(frame, first + i) for i, frame in enumerate(found.frames[1:])]
        return _Segment(found, first, told)

    def _table_of(self, fd: int, segment: int, read: _Segment, number: int) -> Table:
        """That of a step's gradients, read once."""
        if number not in read.tables:
            frame = read.frame(number)
            read.tables[number] = self._table(fd, self._path(segment), frame, "G", _GRADIENT_BYTES)
        return read.tables[number]

    def _table(self, fd: int, path: Path, frame: Frame, name: str, most: int) -> Table:
        size = self._header.size
        table = Table.of(frames.part(fd, path, frame, name + TABLE, table_bytes(size)), size, frame.digest, most)
        if frames.span_of(frame, name, most * size).size != table.data_bytes:
            raise VerificationError(f"its part {name} is not of the size that its table says")
        return table

    def _is_whole(self, fd: int, path: Path, frame: Frame) -> bool:
        """Whether all of a step's frame is there; VerificationError if no crash took what isn't."""
        parts = [frames.span_of(frame, name, MAX_LOOP_STATE) for name in ("loop", "settings", f"G{TABLE}")]
        if not frames.are_whole(fd, path, frame.digest, parts):
            return False
        table = self._table(fd, path, frame, "G", _GRADIENT_BYTES)
        return frames.are_whole(fd, path, frame.digest, table.spans(frame.parts["G"].offset))

    @property
    def _bound(self) -> int:
        """Bytes that the parts of a frame have at most."""
        size, states = self._header.size, len(self._header.states)
        vectors = states * (_STATE_BYTES * size + table_bytes(size))
        return vectors + sum(self._salts_sizes().values()) + MAX_LOOP_STATE + MAX_REST

    def _salts_sizes(self) -> dict[str, int]:
        """The bytes of a start's salts, by the names of their parts."""
        one = self._header.prover.form.salt_bytes
        ends = [f"salt.{name}_{end}" for name in self._header.states for end in ("in", "out")]
        return dict.fromkeys([*ends, "salt.G"], one * len(self._header.blocks)) | {"salt.batches": one}

    def _place(self, segment: int) -> Place:
        return Place(self._run, segment)

    def _segment(self, segment: int) -> Path:
        return self._folder / str(segment)

    def _path(self, segment: int) -> Path:
        return self._segment(segment) / "journal"

    def _staged(self, segment: int, block: int) -> Path:
        return self._segment(segment) / f"proof-{block}"

    def _published(self, segment: int) -> Path:
        return self._segment(segment) / "published"


def _first(frame: Frame) -> int:
    """The first step of the segment that a frame begins."""
    frame.fields.choice("kind", ("start",))
    first = frame.fields.integer("first", 1, MAX_STEP)
    frame.fields.end()
    return first


def _told(frame: Frame, number: int) -> Told:
    """What the frame of step `number` tells."""
    fields = frame.fields
    fields.choice("kind", ("step",))
    told = Told(
        number=fields.integer("step", number, number),
        lr=tuple(fields.texts("lr", max_items=1000, max_len=100)),
        loss=fields.text("loss", max_len=60, min_len=0),
        saturated=fields.integer("saturated", 0, MAX_PARAMETERS),
        batch=fields.hex("batch", 32) if fields.raw("batch") else b"",
    )
    fields.end()
    return told


def _reader(fd: int, path: Path, frame: Frame, name: str) -> Callable[[int, int], bytes]:
    """Reads bytes of a part that was found in place."""
    begin = frame.parts[name].offset
    return lambda offset, size: frames.pread(fd, path, begin + offset, size)


def _size(path: Path) -> int:
    try:
        return path.lstat().st_size
    except OSError as error:
        raise StorageError(f"{path} can't be looked at: {error.strerror}; restore it from a copy") from error


def read_proof(path: Path) -> bytes | None:
    """A proof's bytes, or None if there is no such file. RunError for what is not a proof file."""
    if not exists(path):
        return None
    try:
        return read_bounded(path, MAX_PROOF)
    except VerificationError as error:
        raise of_the_run(error, f"{error}; restore it from a copy, or remove it") from error
