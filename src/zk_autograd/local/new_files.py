"""Files that a command makes because the user asked for them: new ones, whole or not at all.

A file that exists is never replaced: the name may be a slip of the hand, and what it names the only
copy of something. Neither is one made where it would be taken for part of something else.
"""

import errno
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from zk_autograd.core.errors import UsageError
from zk_autograd.local.named_files import refusal

_NO_LINKS = (errno.EPERM, errno.ENOTSUP, errno.ENOSYS, errno.EMLINK)
"""What a file system without hard links says."""

_CHUNK = 2**20


def require_new(path: Path, what: str) -> None:
    """UsageError unless a file can be made here: nothing has this name, and its folder is there.
    `what` is the flag or argument that names it."""
    try:
        os.stat(path.parent / ".")  # a folder
        os.lstat(path)
    except FileNotFoundError as error:
        if not path.parent.is_dir():
            raise UsageError(f"{what} {path} can't be made: there is no folder {path.parent}") from error
        return
    except (OSError, ValueError) as error:
        raise refusal(error, f"{what} {path} can't be made") from error
    raise UsageError(f"{what} {path} exists, and is not overwritten: choose another name, or move it away")


def require_outside(path: Path, folder: Path, what: str, why: str) -> None:
    """UsageError, which ends in `why`, if the file would lie in the folder or below it."""
    try:
        place = path.parent.resolve()
        inside = folder.is_dir() and any(os.path.samefile(parent, folder) for parent in (place, *place.parents))
    except (OSError, ValueError) as error:
        raise refusal(error, f"{what} {path} can't be made") from error
    if inside:
        raise UsageError(f"{what} {path} would lie in {folder}: {why}")


def write_new(path: Path, data: bytes, what: str) -> None:
    """Makes the file, whole and on the disk, or not at all. UsageError if there is one by now,
    StorageError where the system refuses."""
    with new_file(path, what) as file:
        file.write(data)


@contextmanager
def new_file(path: Path, what: str, mode: int = 0o644) -> Iterator[BinaryIO]:
    """As `write_new`, for what is written piece by piece: the file has its name once the block has
    ended without an error. `mode`: who may read it, even while it is written."""
    temporary = path.with_name(f".{path.name[:100]}.{os.urandom(8).hex()}.tmp")
    try:
        try:
            with _created(temporary, mode) as file:
                yield file
            _name(temporary, path, mode)
        finally:
            with suppress(OSError):
                temporary.unlink()
        _sync(path.parent)
    except (OSError, ValueError) as error:
        raise refusal(error, f"{what} {path} can't be written") from error


def _name(temporary: Path, path: Path, mode: int) -> None:
    try:
        os.link(temporary, path)  # unlike a rename, it replaces nothing
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        with open(temporary, "rb") as whole, _created(path, mode) as file:
            shutil.copyfileobj(whole, file, _CHUNK)


@contextmanager
def _created(path: Path, mode: int) -> Iterator[BinaryIO]:
    with open(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode), "w+b") as file:
        try:
            yield file
            file.flush()
            os.fsync(file.fileno())
        except BaseException:
            with suppress(OSError):
                path.unlink()
            raise


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        with suppress(OSError):  # some file systems can't sync a folder; the file itself is there
            os.fsync(descriptor)
    finally:
        os.close(descriptor)
