"""A file of lines that only grows: each is appended and fsynced; a torn last one, which a crash
leaves, is cut off by whoever goes on."""

import os
from pathlib import Path

from zk_autograd.core.errors import RunError, VerificationError
from zk_autograd.evidence.files import chunks_of, open_bounded
from zk_autograd.run.files import Files, exists, of_the_run


class Lines:
    """The file at `path`, which is made with its folder by the first `append`. One thread at a
    time. RunError and StorageError where it can't be read or written."""

    def __init__(self, path: Path, files: Files, most: int, lines: int) -> None:
        """A reader takes at most `most` bytes and `lines` lines. Nothing is read or written yet."""
        self._path = path
        self._files = files
        self._most = most
        self._lines = lines
        self._count = 0
        self._size: int | None = None

    def open(self, tail: int) -> list[bytes]:
        """The last whole lines, without newlines: those that lie in the last `tail` bytes. A torn
        one after them is cut off."""
        if not exists(self._path):
            self._size = None
            return []
        try:
            with open_bounded(self._path, self._most) as fd:
                size = os.fstat(fd).st_size
                start = max(size - tail, 0)
                self._count = sum(chunk.count(b"\n") for chunk in chunks_of(fd, self._path))
                data = os.pread(fd, size - start, start)
        except OSError as error:
            raise RunError(f"{self._path} can't be read: {error.strerror}; check the disk, and try again") from error
        except VerificationError as error:
            raise of_the_run(error, f"{error}; restore it from a copy") from error
        if start:
            data = data[data.find(b"\n") + 1 :]
        whole = data[: data.rfind(b"\n") + 1]
        self._size = size - (len(data) - len(whole))
        if self._size < size:
            self._files.truncate(self._path, self._size)
        return whole.split(b"\n")[:-1]

    @property
    def fullness(self) -> float:
        """How much of what a reader takes there is: 0 .. 1."""
        return max(self._count / self._lines, (self._size or 0) / self._most)

    def make(self) -> None:
        """The file is there, with its folder: an empty one if it was missing."""
        if self._size is None:
            if not exists(self._path.parent):
                self._files.make_dir(self._path.parent)
            if not exists(self._path):
                self._files.write_atomic(self._path, b"")
            self._size = self._measured()

    def append(self, line: bytes) -> None:
        """The line at the end, durable. After an error the next one takes its place."""
        self.make()
        assert self._size is not None
        if self._count == self._lines or self._size + len(line) >= self._most:
            raise RunError(f"{self._path} is as long as a reader takes it, and gets no more lines")
        if self._measured() != self._size:  # an earlier append failed half-way
            self._files.truncate(self._path, self._size)
        self._files.append(self._path, line + b"\n")
        self._size += len(line) + 1
        self._count += 1

    def _measured(self) -> int:
        try:
            return self._path.lstat().st_size
        except OSError as error:
            raise RunError(f"{self._path} can't be looked at: {error.strerror}; restore it from a copy") from error
