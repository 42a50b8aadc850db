"""Files that the user names: only regular ones, behind links or not, and opened without waiting.

What a flag, a config or a plan names may be a pipe that nobody writes to, or a device without an
end. A run's own files are stricter (run.files): no link is followed there.
"""

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from zk_autograd.core.errors import StorageError, UsageError, ZkError

_CHUNK = 2**20
_KINDS = (
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISFIFO, "a pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)
_OF_THE_NAME = frozenset(
    {
        errno.ENOENT,
        errno.ENOTDIR,
        errno.EISDIR,
        errno.ELOOP,
        errno.ENAMETOOLONG,
        errno.EINVAL,
        errno.EEXIST,
        errno.ENXIO,
    }
)
"""Errors that tell what lies, or can't lie, under a name (ENXIO: a socket)."""


@contextmanager
def open_named(path: Path, what: str, limit: int) -> Iterator[int]:
    """The descriptor of a regular file of at most `limit` bytes, for reading; `what` says in
    messages what it is, such as "the config".

    UsageError for what is not such a file, StorageError where the system refuses.
    """
    try:
        _require_regular(os.stat(path), path, what)  # before it is opened: opening a device may do something
        fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except (OSError, ValueError) as error:
        raise refusal(error, f"{what} {path} can't be read") from error
    try:
        status = os.fstat(fd)
        _require_regular(status, path, what)
        if status.st_size > limit:
            raise _too_large(path, what, limit)
        yield fd
    finally:
        os.close(fd)


def read_named(path: Path, what: str, limit: int) -> bytes:
    """The bytes of such a file. Errors as `open_named`."""
    with open_named(path, what, limit) as fd:
        chunks: list[bytes] = []
        left = limit
        try:
            while chunk := os.read(fd, _CHUNK):
                left -= len(chunk)
                if left < 0:  # it grew, or its size is not what the system says
                    raise _too_large(path, what, limit)
                chunks.append(chunk)
        except OSError as error:
            raise refusal(error, f"{what} {path} can't be read") from error
    return b"".join(chunks)


def refusal(error: OSError | ValueError, text: str, advice: str = "") -> ZkError:
    """What the system's `error` means for something that the user named: UsageError if it isn't
    there or isn't what it must be, StorageError if the system refuses. `text` says what can't be
    done, `advice` what to do."""
    if isinstance(error, OSError) and error.errno is not None:
        kind = UsageError if error.errno in _OF_THE_NAME else StorageError
        return kind(f"{text}: {error.strerror or error}{advice and '; '}{advice}")
    return UsageError(f"{text}: {error}")  # a library's, or of a name that no file can have, such as one with a NUL


def _require_regular(status: os.stat_result, path: Path, what: str) -> None:
    if stat.S_ISREG(status.st_mode):
        return
    kind = next((name for test, name in _KINDS if test(status.st_mode)), "something else")
    raise UsageError(f"{what} {path} can't be read: it is {kind}, and must be a regular file")


def _too_large(path: Path, what: str, limit: int) -> UsageError:
    return UsageError(f"{what} {path} has more than {limit} bytes; give a smaller one")
