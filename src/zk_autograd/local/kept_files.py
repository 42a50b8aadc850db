"""Files that a command keeps for its next time: written over, whole or not at all, or appended to.

The bytes go to a temporary name in the same folder, are fsynced, and then get their name; the
folder is fsynced, too. UsageError for a place where no file can be, StorageError where the system
refuses.
"""

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from zk_autograd.local.named_files import refusal


def write_over(path: Path, data: bytes, what: str) -> None:
    """A file with these bytes, or what it was before."""
    with _written(path, data, what) as temporary:
        os.rename(temporary, path)


def write_at(path: Path, offset: int, data: bytes, what: str) -> None:
    """`data` in place from byte `offset` of a file on, durable, and the file's end after it. What
    is before `offset` is never touched; a crash may leave any part of `data`."""
    try:
        with _descriptor(path, os.O_WRONLY | os.O_CREAT) as fd:
            os.lseek(fd, offset, os.SEEK_SET)
            _write_all(fd, data)
            os.ftruncate(fd, offset + len(data))
            os.fsync(fd)
        _sync_folder(path.parent)
    except OSError as error:
        raise refusal(error, f"{what} {path} can't be written") from error


@contextmanager
def _written(path: Path, data: bytes, what: str) -> Iterator[Path]:
    """A temporary file beside `path` that holds the bytes, to be given its name."""
    temporary = path.with_name(f".{path.name[:100]}.{secrets.token_hex(4)}.tmp")
    try:
        try:
            with _descriptor(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL) as fd:
                _write_all(fd, data)
                os.fsync(fd)
            yield temporary
        finally:
            with suppress(OSError):
                temporary.unlink()
        _sync_folder(path.parent)
    except OSError as error:
        raise refusal(error, f"{what} {path} can't be written") from error


@contextmanager
def _descriptor(path: Path, flags: int) -> Iterator[int]:
    fd = os.open(path, flags | os.O_NOFOLLOW | os.O_CLOEXEC, 0o644)
    try:
        yield fd
    finally:
        os.close(fd)


def _write_all(fd: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]


def _sync_folder(folder: Path) -> None:
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
