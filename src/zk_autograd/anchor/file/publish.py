"""The anchor `file`: each publication is a line (anchor/kept.py) of a file that only grows.

A line is appended under a lock and fsynced. A torn last line, which a crash leaves, is cut off by
whoever appends next, if it and the lines before it are this anchor's; whoever reads changes
nothing, and refuses a torn line, since what it said was signed.
"""

import errno
import fcntl
import os
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from zk_autograd.anchor.file.receipt import KIND
from zk_autograd.anchor.kept import MAX_KEPT, encode_kept, parse_kept
from zk_autograd.core import canonical
from zk_autograd.core.anchors import History, Kept, Receipt, SignedCheckpoint
from zk_autograd.core.checkpoint import Checkpoint
from zk_autograd.core.errors import AnchorBehind, AnchorDown, AnchorError, AnchorForked, UsageError, VerificationError
from zk_autograd.core.merkle import verify_consistency

_CHUNK = 2**20

_PASSING = (errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOSPC, errno.EDQUOT, errno.EIO)
"""What the system says that may be otherwise in a while."""


class FileAnchor:
    """The file at `path`, made with its folder if it is missing."""

    kind = KIND

    def __init__(self, path: Path) -> None:
        self._path = path

    @property
    def spec(self) -> str:
        return f"{KIND}:{self._path}"

    def publish(self, checkpoint: SignedCheckpoint, history: History) -> Sequence[Receipt]:
        """See core.anchors.Anchor. AnchorError for a file that is none of this anchor's."""
        head = checkpoint.head
        with self._opened(write=True) as fd:
            end = _end(fd, self._path)
            if end.last is not None:
                self._require_begun_with(end.last, head, history)
                if end.last.head == head:
                    return (Receipt(KIND, head.size, head.root, {"line": end.count - 1}),)
            if end.torn:
                _require_own(fd, end, self._path, head.origin)
            first = 0 if end.last is None else end.last.head.size
            line = encode_kept(Kept(checkpoint.note, first, tuple(history.entries(first, head.size))))
            try:
                if end.torn:
                    os.ftruncate(fd, end.whole)
                os.lseek(fd, 0, os.SEEK_END)
                _write_all(fd, (b"" if end.ended else b"\n") + line + b"\n")
                os.fsync(fd)
            except OSError as error:
                raise AnchorDown(f"{self._path} can't be written: {error.strerror}; free some space") from error
            return (Receipt(KIND, head.size, head.root, {"line": end.count}),)

    def _require_begun_with(self, last: SignedCheckpoint, head: Checkpoint, history: History) -> None:
        """Raises as `publish` unless the tree of `head` begins with the one that is here."""
        old = last.head
        if old.origin != head.origin:
            raise AnchorError(f"{self._path} holds another register, {old.origin}: name another file")
        if old.size > head.size:
            raise AnchorBehind(f"{self._path} holds a checkpoint of {old.size} entries, ours has {head.size}")
        try:
            verify_consistency(old.size, head.size, old.root, head.root, history.consistency(old.size, head.size))
        except VerificationError as error:
            raise AnchorForked(f"{self._path} holds another branch of this register: {error}", last.note) from error

    def require_continued(self, checkpoint: SignedCheckpoint, history: History) -> None:
        """See core.anchors.AskableAnchor. A file that is missing holds nothing."""
        if os.path.lexists(self._path):
            with self._opened(write=False) as fd:
                last = _end(fd, self._path).last
            if last is not None:
                self._require_begun_with(last, checkpoint.head, history)

    def read(self, origin: str) -> Sequence[Kept]:
        """See core.anchors.ReadableAnchor. AnchorError if there is no such file, and for one whose
        last line is torn."""
        with self._opened(write=False) as fd:
            kept = list(_lines(fd, self._path))
        return [one for one in kept if SignedCheckpoint.parse(one.note).head.origin == origin]

    @contextmanager
    def _opened(self, *, write: bool) -> Iterator[int]:
        """The file, locked. AnchorError unless it is one; AnchorDown where the system fails."""
        flags = (os.O_RDWR | os.O_CREAT if write else os.O_RDONLY) | os.O_NOFOLLOW | os.O_CLOEXEC
        try:
            if write:
                self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            fd = os.open(self._path, flags | os.O_NONBLOCK | os.O_NOCTTY, 0o600)  # a pipe would be waited for
        except OSError as error:
            if error.errno in _PASSING:
                raise AnchorDown(f"{self._path} can't be opened: {error.strerror}; try again") from error
            raise AnchorError(f"{self._path} can't be opened: {error.strerror}; name another file") from error
        try:
            if not stat.S_ISREG(os.fstat(fd).st_mode):
                raise AnchorError(f"{self._path} is no regular file: name another one")
            fcntl.flock(fd, fcntl.LOCK_EX if write else fcntl.LOCK_SH)
            try:
                yield fd
            finally:
                fcntl.flock(fd, fcntl.LOCK_UN)  # a child that was forked meanwhile would keep it
        except OSError as error:
            raise AnchorDown(f"{self._path} can't be used: {error.strerror}; check the disk, and try again") from error
        finally:
            os.close(fd)


def open_anchor(rest: str) -> FileAnchor:
    """The anchor of `file:PATH`. UsageError without a path."""
    if not rest:
        raise UsageError("the anchor file needs a path: file:PATH")
    return FileAnchor(Path(rest).absolute())


def _lines(fd: int, path: Path) -> Iterator[Kept]:
    """Each line's publication; the last one may lack its newline. AnchorError for anything else."""
    os.lseek(fd, 0, os.SEEK_SET)
    number = 0
    with os.fdopen(os.dup(fd), "rb") as file:
        while line := file.readline(MAX_KEPT + 1):
            try:
                kept = _read(line.removesuffix(b"\n"), number, path)
            except AnchorError as error:
                if line.endswith(b"\n"):
                    raise
                raise AnchorError(
                    f"line {number + 1} of {path}, the last, is torn: what it said was signed, and isn't known. Restore the file from a "
                    "whole copy; if a crash tore it, the next publication of the register beside it writes the line again"
                ) from error
            yield kept
            number += 1


@dataclass(frozen=True, slots=True)
class _End:
    """How a file ends. `count`: its publications; `last`: the checkpoint of the last one; `whole`:
    the bytes of all of them; `torn`: what follows, which is none; `ended`: whether the last one
    has its newline."""

    count: int
    last: SignedCheckpoint | None
    whole: int
    torn: bytes = b""
    ended: bool = True


def _end(fd: int, path: Path) -> _End:
    """Of the publications the last one alone is read. AnchorError if it is none."""
    count, start, end = 0, 0, 0
    at = 0
    while chunk := os.pread(fd, _CHUNK, at):
        if newlines := chunk.count(b"\n"):
            count += newlines
            newest = chunk.rindex(b"\n")
            before = chunk.rfind(b"\n", 0, newest)
            start, end = (end if before < 0 else at + before + 1), at + newest + 1
        at += len(chunk)
    if max(end - 1 - start, at - end) > MAX_KEPT:
        raise AnchorError(f"{path} has a longer line than this anchor writes: name another file")
    rest = os.pread(fd, at - end, end)
    if rest and (found := _checkpoint(rest)) is not None:
        return _End(count + 1, found, at, ended=False)
    if not count:
        return _End(0, None, 0, rest)
    line = os.pread(fd, end - 1 - start, start)
    return _End(count, SignedCheckpoint.parse(_read(line, count - 1, path).note), end, rest)


def _checkpoint(line: bytes) -> SignedCheckpoint | None:
    """That of a publication; None for anything else."""
    try:
        return SignedCheckpoint.parse(parse_kept(line).note)
    except VerificationError:
        return None


def _require_own(fd: int, end: _End, path: Path, origin: str) -> None:
    """AnchorError unless what is torn can be what a crash left of a publication of this register,
    after others: anything else is somebody's, and is not cut off."""
    begins = canonical.encode({"checkpoint": f"{origin}\n"}).removesuffix(b'"}')
    own = end.torn.startswith(begins) or (end.last is not None and begins.startswith(end.torn))
    if own and end.last is not None:
        with os.fdopen(os.dup(fd), "rb") as file:
            file.seek(0)
            first = _checkpoint(file.readline(MAX_KEPT + 1).removesuffix(b"\n"))
        own = first is not None and first.head.origin == origin
    if not own:
        raise AnchorError(
            f"{path} ends with what this anchor didn't write, and nothing of it is cut off: name another file, or restore its newest copy"
        )


def _read(line: bytes, number: int, path: Path) -> Kept:
    try:
        kept = parse_kept(line)
        SignedCheckpoint.parse(kept.note)
    except VerificationError as error:
        raise AnchorError(f"line {number + 1} of {path} was altered: {error}; restore it from a copy") from error
    return kept


def _write_all(fd: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]
