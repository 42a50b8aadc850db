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


@contextmanager
def private_file(path: Path, what: str) -> Iterator[BinaryIO]:
    """As `new_file`, for what only its owner may read (mode 0600): until the block has ended, the
    bytes have no name at all, so that not even a process that is killed leaves any of them. Where
    a file system has no such files, as `new_file`."""
    try:
        folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except (OSError, ValueError) as error:
        raise refusal(error, f"{what} {path} can't be written") from error
    try:
        descriptor = _nameless(path.parent)
        if descriptor is None:
            with new_file(path, what, 0o600) as file:
                yield file
            return
        try:
            with open(descriptor, "w+b") as file:
                yield file
                file.flush()
                os.fsync(descriptor)
                # The descriptor's own link is followed, and an existing file is never replaced.
                os.link(f"/proc/self/fd/{descriptor}", path.name, dst_dir_fd=folder, follow_symlinks=True)
                with suppress(OSError):
                    os.fsync(folder)
        except (OSError, ValueError) as error:
            raise refusal(error, f"{what} {path} can't be written") from error
    finally:
        os.close(folder)


def _nameless(folder: Path) -> int | None:
    """A new file in the folder that has no name; None where there can't be one."""
    if not os.path.isdir("/proc/self/fd"):
        return None
    try:
        return os.open(folder, os.O_TMPFILE | os.O_RDWR | os.O_CLOEXEC, 0o600)
    except OSError:
        return None  # `new_file` says why, if it can't make one either


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
