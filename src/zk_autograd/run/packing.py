"""Making a bundle of a run: what its records name, checked against them, in the one form that run.bundle has."""

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, closing, nullcontext
from dataclasses import dataclass
from hashlib import sha256
from itertools import islice
from pathlib import Path

from zk_autograd.core.errors import RunError, StorageError, UnreadableError, VerificationError
from zk_autograd.core.merkle import leaf_hash, root
from zk_autograd.core.note import parse_checkpoint, parse_unverified
from zk_autograd.core.record_forms import parse_log
from zk_autograd.core.records import Log
from zk_autograd.run.beside import beside
from zk_autograd.run.bundle import END, MAX_MEMBER, MAX_MEMBERS, header, padding
from zk_autograd.run.files import Files, chunks_of, exists, of_the_run, require_listable
from zk_autograd.run.layout import ARTEFACTS, CHECKPOINT, LOG, MODEL, PROOFS, RECORDS, Layout, proof_name
from zk_autograd.run.lock import RunLock, holder
from zk_autograd.run.log import whole_leaves
from zk_autograd.run.reader import MAX_ARTEFACT, MAX_LOG, MAX_PROOF, RunReader

_LEFT_OUT = 1000

Advance = Callable[[str, int, int], None]
"""Told what is being done, how much of it is done, and how much there is."""


@dataclass(frozen=True, slots=True)
class Packed:
    """What a bundle holds: its size, the SHA-256 of its bytes, the root and size of its log, and whether the run has its close record.

    `left_out` are the names in the run that no record names, a thousand of them if there are more; they are in no bundle.
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
    """A file of the bundle: its bytes where they were read already, and its SHA-256 where a record says it."""

    name: str
    content: Sequence[bytes] | None = None
    digest: bytes | None = None


def pack(run: Path, out: Path, files: Files, advance: Advance) -> Packed:
    """Makes the bundle `out` of the run at `run`, whole or not at all. Nobody writes to the run meanwhile, as far as whoever packs it can
    see to that: a bundle has nothing of the private folder, in which the lock is, and of another's run that may be closed.

    RunError if `out` exists, a trainer is at work, a crash left the log half-written, or files are missing or are not those that the
    records name; StorageError if they can't be read, or the bundle can't be written.
    """
    require_listable(run)
    if exists(out):
        raise RunError(f"{out} exists already; choose another place for the bundle, or remove it")
    try:
        return _packed(run, out, files, advance)
    except UnreadableError as error:
        raise StorageError(f"{run} can't be packed: {error}") from error
    except VerificationError as error:
        raise of_the_run(error, f"{run} can't be packed: {error}; restore it from a copy") from error


def _packed(run: Path, out: Path, files: Files, advance: Advance) -> Packed:
    layout = Layout(run)
    with RunReader(run) as reader, _locked(layout):
        note = reader.checkpoint()
        leaves = _whole_leaves(reader, run)
        head = parse_checkpoint(parse_unverified(note).text)
        if (head.size, head.root) != (len(leaves), root([leaf_hash(leaf) for leaf in leaves])):
            raise RunError(
                f"{run} is half-written: its checkpoint is over {head.size} records, and its log has {len(leaves)}; resume the run, "
                "which repairs what a crash left, or restore it from a copy"
            )
        log = parse_log(leaves)
        members = [
            _Member(f"{LOG}/{CHECKPOINT}", [note]),
            _Member(f"{LOG}/{RECORDS}", [leaf + b"\n" for leaf in leaves]),
            *_named(log, reader),
        ]
        if len(members) > MAX_MEMBERS:
            raise RunError(f"{run} has {len(members)} public files, and a bundle holds at most {MAX_MEMBERS}")
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
    """Keeps trainers out, where whoever packs the run may. RunError if one is at work."""
    try:
        return RunLock(layout.lock) if exists(layout.lock) else nullcontext()
    except StorageError:
        pass
    try:
        at_work = holder(layout.lock)  # who may not write to it may still see it
    except StorageError:  # it is another's: the log alone says whether it is whole
        return nullcontext()
    if at_work is not None:
        raise RunError(f"{layout.root} is being written by another trainer (process {at_work}); wait for it")
    return nullcontext()


def _whole_leaves(reader: RunReader, run: Path) -> list[bytes]:
    with reader.opened(f"{LOG}/{RECORDS}", MAX_LOG) as fd:
        leaves, size = whole_leaves(fd)
        if size < os.fstat(fd).st_size:
            raise RunError(f"{run} is half-written: a crash tore its last record; resume the run, which repairs that")
    return leaves


def _named(log: Log, reader: RunReader) -> Iterator[_Member]:
    """The proofs and model files that the records name, and the trainer's own files: those that the close record names, or without one those
    that are there."""
    for segment in log.segments:
        for block, digest in enumerate(segment.proofs):
            yield _Member(f"{PROOFS}/{proof_name(segment.index, block)}", digest=digest)
    close = log.close
    for name, digest in close.model if close else ():
        yield _Member(f"{MODEL}/{name}", digest=digest)
    digests = dict(close.artefacts) if close else {}
    for name in reader.artefact_names():
        if close is None or name in digests:
            yield _Member(name, digest=digests.pop(name, None))
    if missing := sorted(set(digests) & set(ARTEFACTS)):
        raise VerificationError(f"{missing[0]} is named by the close record, and is missing")


class _Archive:
    """The bytes of a bundle as they are made, their number and their hash."""

    def __init__(self, reader: RunReader, members: Sequence[_Member], advance: Advance) -> None:
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
                with self._reader.opened(member.name, _limit(member.name)) as fd:
                    yield from _framed(member, os.fstat(fd).st_size, chunks_of(fd, member.name))
            self._advance("bundle", i + 1, len(self._members))
        yield END


def _limit(name: str) -> int:
    """Bytes of a public file, where no record vouches for them: what takes no space on this disk would take it in a bundle."""
    folder = name.rpartition("/")[0]
    return {"": MAX_ARTEFACT, PROOFS: MAX_PROOF}.get(folder, MAX_MEMBER)


def _framed(member: _Member, size: int, content: Iterable[bytes]) -> Iterator[bytes]:
    if size > MAX_MEMBER:
        raise RunError(f"{member.name} has {size} bytes, and a bundle holds no file of more than {MAX_MEMBER}")
    yield header(member.name, size)
    found, left = sha256(), size
    for chunk in content:
        found.update(chunk)
        left -= len(chunk)
        if left < 0:
            break
        yield chunk
    if left:
        raise VerificationError(f"{member.name} changed while it was read")
    if member.digest is not None and found.digest() != member.digest:
        raise VerificationError(
            f"{member.name} is not the file that the log has a hash of",
            expected=member.digest.hex(),
            found=found.hexdigest(),
        )
    yield bytes(padding(size))
