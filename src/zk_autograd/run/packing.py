"""Making a bundle of a run: what its records name, checked, in evidence.bundle's one form."""

import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, closing, nullcontext
from dataclasses import dataclass
from hashlib import sha256
from itertools import islice
from pathlib import Path
from typing import BinaryIO

from zk_autograd.core.errors import RunError, StorageError, UnreadableError, VerificationError
from zk_autograd.core.merkle import leaf_hash, root
from zk_autograd.core.note import parse_checkpoint, parse_unverified
from zk_autograd.core.progress import Progress
from zk_autograd.core.record_bytes import parse_log
from zk_autograd.core.records import Log
from zk_autograd.evidence.beside import beside
from zk_autograd.evidence.bundle import END, MAX_MEMBER, MAX_MEMBERS, header, padding
from zk_autograd.evidence.folder import RunFolder
from zk_autograd.evidence.layout import (
    ANCHORS,
    CHECKPOINT,
    LOG,
    MAX_LOG,
    RECEIPTS,
    RECORDS,
    REGISTER,
    ROWS,
    VIEWS,
    row_of,
)
from zk_autograd.evidence.run import Evidence
from zk_autograd.run.files import Files, exists, of_the_run, require_listable
from zk_autograd.run.layout import Layout
from zk_autograd.run.lock import RunLock, holder
from zk_autograd.run.log import whole_leaves

_LEFT_OUT = 1000
_CHUNK = 2**20


@dataclass(frozen=True, slots=True)
class Packed:
    """What a bundle holds: its size, the SHA-256 of its bytes, the root and size of its log, and
    whether the run has its close record.

    `left_out` are the names in the run that no record names, a thousand of them if there are more;
    they are not in the bundle.
    """

    files: int
    size: int
    digest: bytes
    root: bytes
    records: int
    finished: bool
    left_out: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Member:
    """A file of the bundle: its bytes if already read, and its SHA-256 if a record has it."""

    name: str
    content: Sequence[bytes] | None = None
    digest: bytes | None = None


def pack(run: Path, out: Path, files: Files, advance: Progress) -> Packed:
    """Makes the bundle `out` of the run at `run`, whole or not at all. Nobody writes to the run
    meanwhile, as far as whoever packs it can ensure that: the lock is in the private folder, which
    a bundle has none of, and which may be closed if the run is somebody else's.

    RunError if `out` exists, a trainer is at work, a crash left the log half-written, or files are
    missing or are not those that the records name; StorageError if they can't be read, or the
    bundle can't be written.
    """
    require_listable(run)
    if exists(out):
        raise RunError(f"{out} already exists; choose another place for the bundle, or remove it")
    try:
        return _packed(run, out, files, advance)
    except UnreadableError as error:
        raise StorageError(f"{run} can't be packed: {error}") from error
    except VerificationError as error:
        raise of_the_run(error, f"{run} can't be packed: {error}; restore it from a copy") from error


def _packed(run: Path, out: Path, files: Files, advance: Progress) -> Packed:
    layout = Layout(run)
    with RunFolder(run) as reader, _locked(layout):
        note = reader.checkpoint()
        leaves = _whole_leaves(reader, run)
        head = parse_checkpoint(parse_unverified(note).text)
        if (head.size, head.root) != (len(leaves), root([leaf_hash(leaf) for leaf in leaves])):
            raise RunError(
                f"{run} is half-written: its checkpoint is over {head.size} records, and its log has {len(leaves)}; resume the run, "
                "which repairs what a crash left, or restore it from a copy"
            )
        log = parse_log(leaves)
        if log.header.register:
            for path in (f"{REGISTER}/{VIEWS}", f"{ANCHORS}/{RECEIPTS}"):
                _require_whole(reader, path, run)
        read = [
            _Member(f"{LOG}/{CHECKPOINT}", [note]),
            _Member(f"{LOG}/{RECORDS}", [leaf + b"\n" for leaf in leaves]),
        ]
        members = [*read, *_named(log, reader, besides={member.name for member in read})]
        if len(members) > MAX_MEMBERS:
            raise RunError(f"{run} has {len(members)} public files; a bundle holds at most {MAX_MEMBERS}")
        archive = _Archive(reader, sorted(members, key=lambda member: member.name), advance)
        files.write_stream(out, archive.chunks())
        packed = {member.name for member in members}
        with closing(beside(reader, log)) as names:
            left = sorted(islice((found.path for found in names if found.path not in packed), _LEFT_OUT))
        return Packed(
            files=len(members),
            size=archive.size,
            digest=archive.hash.digest(),
            root=head.root,
            records=head.size,
            finished=log.close is not None,
            left_out=tuple(left),
        )


def _locked(layout: Layout) -> AbstractContextManager[object]:
    """Keeps trainers out, where whoever packs the run is allowed to. RunError if one is at work."""
    try:
        return RunLock(layout.lock) if exists(layout.lock) else nullcontext()
    except StorageError:
        pass
    try:
        at_work = holder(layout.lock)  # even without write permission it may be visible
    except StorageError:  # it is somebody else's: the log alone says whether it is whole
        return nullcontext()
    if at_work is not None:
        raise RunError(f"{layout.root} is being written by another trainer (process {at_work}); wait for it to end")
    return nullcontext()


def _whole_leaves(reader: Evidence, run: Path) -> list[bytes]:
    with reader.opened(f"{LOG}/{RECORDS}", MAX_LOG) as file:
        leaves, size = whole_leaves(file)
        if size < os.fstat(file.fileno()).st_size:
            raise RunError(f"{run} is half-written: a crash tore its last record; resume the run, which repairs that")
    return leaves


def _require_whole(reader: Evidence, path: str, run: Path) -> None:
    """RunError if a crash tore the last line of the file, which no reader takes then."""
    if not reader.has(path):
        return
    with reader.opened(path, _limit(path)) as file:
        size = os.fstat(file.fileno()).st_size
        if size and os.pread(file.fileno(), 1, size - 1) != b"\n":
            raise RunError(
                f"{run} is half-written: a crash tore the last line of {path}; resume the run, which cuts it off"
            )


def _named(log: Log, reader: Evidence, besides: set[str]) -> Iterator[_Member]:
    """The files that the records name, and of a fixed list of names those that are there: all that
    the view covers, and where there is no close record what the run may have so far; `besides` are
    those that were read already."""
    for row in ROWS:
        named = {name: digest for name, digest in row.named_by.names(log) if row.has(name)}
        for name, digest in named.items():
            yield _Member(row.path(name), digest=digest)
        unfinished = log.close is None and row.partial
        for name in (name for name in row.names if name not in named and row.path(name) not in besides):
            if (row.named_by.covers(log, name) or unfinished) and reader.has(row.path(name)):
                yield _Member(row.path(name))


class _Archive:
    """The bytes of a bundle as they are made, their number and their hash."""

    def __init__(self, reader: Evidence, members: Sequence[_Member], advance: Progress) -> None:
        self._reader = reader
        self._members = members
        self._advance = advance
        self.size = 0
        self.hash = sha256()

    def chunks(self) -> Iterator[bytes]:
        for chunk in self._made():
            self.size += len(chunk)
            self.hash.update(chunk)
            yield chunk

    def _made(self) -> Iterator[bytes]:
        for i, member in enumerate(self._members):
            if member.content is not None:
                yield from _framed(member, sum(map(len, member.content)), member.content)
            else:
                with self._reader.opened(member.name, _limit(member.name)) as file:
                    yield from _framed(member, os.fstat(file.fileno()).st_size, _chunks(file))
            self._advance("bundle", i + 1, len(self._members))
        yield END


def _limit(path: str) -> int:
    """Most bytes of a public file, where no record vouches for them: a sparse file takes no space
    on this disk, but would in a bundle."""
    row = row_of(path)
    assert row is not None
    return min(row.bound, MAX_MEMBER)


def _chunks(file: BinaryIO) -> Iterator[bytes]:
    return iter(lambda: file.read(_CHUNK), b"")


def _framed(member: _Member, size: int, content: Iterable[bytes]) -> Iterator[bytes]:
    if size > MAX_MEMBER:
        raise RunError(f"{member.name} has {size} bytes; a bundle holds no file of more than {MAX_MEMBER}")
    yield header(member.name, size)
    found, left = sha256(), size
    for chunk in content:
        found.update(chunk)
        left -= len(chunk)
        if left < 0:
            break
        yield chunk
    if left:
        raise VerificationError(f"{member.name} changed while it was being read")
    if member.digest is not None and found.digest() != member.digest:
        raise VerificationError(
            f"{member.name} is not the file whose hash the log has",
            expected=member.digest.hex(),
            found=found.hexdigest(),
        )
    yield bytes(padding(size))
