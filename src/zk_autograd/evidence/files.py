"""Reads that a hostile file can't abuse: bounded, regular files only, no link followed in the last
part of a path.

They raise VerificationError, which says what, where and why; where the system refuses (permission,
a failing disk), they raise UnreadableError, which says nothing against the file.
"""

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from zk_autograd.core.errors import UnreadableError, VerificationError

_CHUNK = 2**20

_OF_THE_FILE = frozenset(
    {
        errno.ENOENT,
        errno.ENOTDIR,
        errno.EISDIR,
        errno.ELOOP,
        errno.ENXIO,
        errno.ENODEV,
        errno.ENAMETOOLONG,
        errno.EINVAL,
    }
)
"""System errors that say what lies at a path, rather than what the machine lacks."""


def read_bounded(path: Path | str, limit: int, *, dir_fd: int | None = None) -> bytes:
    """The bytes of a regular file of at most `limit` bytes, read once.

    A link is not followed in the last part of the path (open the folders before it with
    `open_folder`). Raises VerificationError.
    """
    with open_bounded(path, limit, dir_fd=dir_fd) as fd:
        chunks: list[bytes] = []
        left = limit
        for chunk in chunks_of(fd, path):
            left -= len(chunk)
            if left < 0:  # it grew, or its size is not what the system says
                raise _too_large(path, limit)
            chunks.append(chunk)
    return b"".join(chunks)


def chunks_of(fd: int, path: Path | str) -> Iterator[bytes]:
    """What is left to read of a file that `open_bounded` opened, piece by piece. VerificationError
    if it can't be read."""
    with _readable(path):
        while chunk := os.read(fd, _CHUNK):
            yield chunk


@contextmanager
def open_bounded(path: Path | str, limit: int, *, dir_fd: int | None = None) -> Iterator[int]:
    """A descriptor for reading a regular file, now of at most `limit` bytes. As `read_bounded`."""
    with _readable(path):
        # Without O_NONBLOCK, opening a pipe would wait for a writer.
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=dir_fd)
    try:
        with _readable(path):
            status = os.fstat(fd)
        if not stat.S_ISREG(status.st_mode):
            raise VerificationError(f"{path} is not a regular file")
        if status.st_size > limit:
            raise _too_large(path, limit)
        yield fd
    finally:
        os.close(fd)


def open_folder(path: Path | str, *, dir_fd: int | None = None) -> int:
    """The descriptor of a folder, not a link, for `dir_fd`; to be closed. Raises
    VerificationError."""
    with _readable(path):
        return os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=dir_fd)


def _too_large(path: Path | str, limit: int) -> VerificationError:
    return VerificationError(f"{path} is too large", expected=f"at most {limit} bytes", found="more")


@contextmanager
def _readable(path: Path | str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise unreadable(path, error) from error


def unreadable(path: Path | str, error: OSError) -> VerificationError:
    """The error for the system's refusal to read `path`: the file's fault if it is missing or of
    the wrong kind, else this machine's."""
    # open(2) says ELOOP for a file, ENOTDIR for a folder, when O_NOFOLLOW met a link
    linked = error.errno == errno.ELOOP
    reason = "it is a link, and links are not followed" if linked else error.strerror
    kind = VerificationError if tells_of_the_file(error) else UnreadableError
    return kind(f"{path} can't be read: {reason}")


def tells_of_the_file(error: OSError) -> bool:
    """Whether the system's error is about what lies at a path, not about this machine or its
    user."""
    return error.errno in _OF_THE_FILE
