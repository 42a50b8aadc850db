"""Bytes that are read at an offset: those of a file here, or of one that a server holds.

A bundle is read from a `Source`, whichever it is; the files in it, and files that were fetched, are
`Place`s of one.
"""

import io
import os
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Protocol

from zk_autograd.core.errors import UsageError, VerificationError
from zk_autograd.evidence.files import unreadable
from zk_autograd.evidence.folder import not_opened

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

_BUFFER = 2**20
"""Bytes that are read ahead, at most: of a source that a server holds, in one request."""


class Source(Protocol):
    """Bytes of a known number. What is read once reads the same again."""

    name: str
    size: int

    def read_at(self, start: int, size: int) -> bytes:
        """Exactly these bytes. VerificationError if they end early, UnreadableError if this machine
        can't read them."""
        ...

    def close(self) -> None:
        """Nothing can be read after it."""
        ...


@dataclass(frozen=True, slots=True)
class Place:
    """`size` bytes of a source, from `start` on."""

    start: int
    size: int


class LocalFile:
    """The bytes of a regular file."""

    def __init__(self, path: Path) -> None:
        """UsageError if there is no such file, UnreadableError if this machine can't open it."""
        self.name = str(path)
        try:
            # Without O_NONBLOCK, opening a pipe would wait for a writer.
            self._fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError as error:
            raise not_opened(path, error, "is neither a run nor a bundle") from error
        status = os.fstat(self._fd)
        self.size = status.st_size
        if not stat.S_ISREG(status.st_mode):
            self.close()
            raise UsageError(f"{path} is neither a run nor a bundle: it is neither a folder nor a regular file")

    def read_at(self, start: int, size: int) -> bytes:
        """As Source's."""
        return read_at(self._fd, start, size, "the bundle")

    def close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
        self._fd = -1


def read_at(fd: int, start: int, size: int, what: str) -> bytes:
    """Exactly these bytes of an open file, called `what` in messages. As `Source.read_at`."""
    parts: list[bytes] = []
    while size:
        try:
            part = os.pread(fd, size, start)
        except OSError as error:
            raise unreadable(what, error) from error
        if not part:
            raise ends_early(what, size)
        parts.append(part)
        start, size = start + len(part), size - len(part)
    return b"".join(parts)


def ends_early(what: str, size: int) -> VerificationError:
    """The error for a source that lacks its last `size` bytes."""
    return VerificationError(f"{what} ends early", expected=f"{size} bytes more", found="its end")


def reader(source: Source, place: Place) -> BinaryIO:
    """A place of a source as a file, to be read from front to back."""
    return io.BufferedReader(_Part(source, place), max(1, min(place.size, _BUFFER)))


class _Part(io.RawIOBase):
    def __init__(self, source: Source, place: Place) -> None:
        self._source = source
        self._at = place.start
        self._left = place.size

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: "WriteableBuffer") -> int:
        view = memoryview(buffer).cast("B")
        data = self._source.read_at(self._at, min(len(view), self._left))
        view[: len(data)] = data
        self._at, self._left = self._at + len(data), self._left - len(data)
        return len(data)
