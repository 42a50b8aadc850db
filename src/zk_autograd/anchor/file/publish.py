"""The anchor `file`: each publication is a line (anchor/kept.py) of a file that only grows.

A line is appended under a lock and fsynced. A torn last line, which a crash leaves, is cut off by
whoever appends next.
"""

import fcntl
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from zk_autograd.anchor.file.receipt import KIND
from zk_autograd.anchor.kept import encode_kept, parse_kept
from zk_autograd.core.anchors import History, Kept, Receipt, SignedCheckpoint
from zk_autograd.core.checkpoint import Checkpoint
from zk_autograd.core.errors import AnchorBehind, AnchorDown, AnchorError, AnchorForked, UsageError, VerificationError
from zk_autograd.core.merkle import verify_consistency

_CHUNK = 2**20


class FileAnchor:
    """The file at `path`, made with its folder if it is missing."""

    kind = KIND

    def __init__(self, path: Path) -> None:
        self._path = path

    @property
    def spec(self) -> str:
        return f"{KIND}:{self._path}"

    def publish(self, checkpoint: SignedCheckpoint, history: History) -> Sequence[Receipt]:
        """See core.anchors.Anchor."""
        head = checkpoint.head
        with self._locked() as fd:
            count, last = _last(fd, self._path)
            if last is not None:
                self._require_continued(last, head, history)
                if last.head == head:
                    return (Receipt(KIND, head.size, head.root, {"line": count - 1}),)
            first = 0 if last is None else last.head.size
            line = encode_kept(Kept(checkpoint.note, first, tuple(history.entries(first, head.size))))
            try:
                os.lseek(fd, 0, os.SEEK_END)
                _write_all(fd, line + b"\n")
                os.fsync(fd)
            except OSError as error:
                raise AnchorDown(f"{self._path} can't be written: {error.strerror}; free some space") from error
            return (Receipt(KIND, head.size, head.root, {"line": count}),)

    def _require_continued(self, last: SignedCheckpoint, head: Checkpoint, history: History) -> None:
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

    def read(self, origin: str) -> Sequence[Kept]:
        """See core.anchors.ReadableAnchor. AnchorError if there is no such file."""
        with self._locked(make=False) as fd:
            kept = list(_lines(fd, self._path))
        return [one for one in kept if SignedCheckpoint.parse(one.note).head.origin == origin]

    @contextmanager
    def _locked(self, make: bool = True) -> Iterator[int]:
        flags = os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC
        try:
            if make:
                self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            fd = os.open(self._path, flags | (os.O_CREAT if make else 0), 0o600)
        except OSError as error:
            raise AnchorError(f"{self._path} can't be opened: {error.strerror}; name another file") from error
        try:
            fcntl.flock(fd, fcntl.LOCK_EX)
            yield fd
        finally:
            fcntl.flock(fd, fcntl.LOCK_UN)  # a child that was forked meanwhile would keep it
            os.close(fd)


def open_anchor(rest: str) -> FileAnchor:
    """The anchor of `file:PATH`. UsageError without a path."""
    if not rest:
        raise UsageError("the anchor file needs a path: file:PATH")
    return FileAnchor(Path(rest).absolute())


def _lines(fd: int, path: Path) -> Iterator[Kept]:
    """The whole lines; a torn last one is cut off. AnchorError for anything else."""
    os.lseek(fd, 0, os.SEEK_SET)
    end = 0
    with os.fdopen(os.dup(fd), "rb") as file:
        for number, line in enumerate(file):
            if not line.endswith(b"\n"):
                os.ftruncate(fd, end)
                return
            end += len(line)
            yield _read(line[:-1], number, path)


def _last(fd: int, path: Path) -> tuple[int, SignedCheckpoint | None]:
    """How many whole lines there are, and the checkpoint of the last one, which alone is read; a
    torn one is cut off."""
    count, start, end = 0, 0, 0
    at = 0
    while chunk := os.pread(fd, _CHUNK, at):
        if newlines := chunk.count(b"\n"):
            count += newlines
            newest = chunk.rindex(b"\n")
            before = chunk.rfind(b"\n", 0, newest)
            start, end = (end if before < 0 else at + before + 1), at + newest + 1
        at += len(chunk)
    if at > end:
        os.ftruncate(fd, end)
    if not count:
        return 0, None
    line = os.pread(fd, end - 1 - start, start)
    return count, SignedCheckpoint.parse(_read(line, count - 1, path).note)


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
