"""One trainer at a time: an exclusive flock(2) on a file of the run.

The system releases it when its holder dies, however it dies. A forked child (a data loader's
worker, say) would inherit it and hold it beyond its parent's death: it is closed in the child,
which doesn't release the parent's.

Neither its folder, the run's private one, nor the lock may be a link: what those lead to could be
somebody else's, and whoever holds the lock writes and deletes there. Nor is anything opened that
could make its opener wait (a pipe).
"""

import errno
import fcntl
import gc
import os
import stat
import time
from contextlib import suppress
from pathlib import Path
from typing import Self
from weakref import WeakSet

from zk_autograd.core.errors import RunError, StorageError
from zk_autograd.evidence.files import tells_of_the_file
from zk_autograd.run.files import PRIVATE_FILE, advice_for
from zk_autograd.run.ownership import Unique

_LOOK_SECONDS = 0.05
_MAX_BYTES = 32
"""A lock holds the number of a process: a larger file is not a lock."""


class RunLock(Unique):
    """The lock, held from its construction on."""

    def __init__(self, path: Path) -> None:
        """Takes the lock of `path`, which is created if missing. RunError if another holds it, or
        it lies behind a link; StorageError if the system refuses."""
        self._folder = self._fd = -1
        try:
            self._folder = _opened_folder(path.parent)
            flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
            self._fd = os.open(path.name, flags, PRIVATE_FILE, dir_fd=self._folder)
        except OSError as error:
            self.release()
            advice = advice_for(error, "make it writable")
            raise _refusal(error)(f"{path} can't be locked: {error.strerror}; {advice}") from error
        try:
            _require_lock(self._fd, path)
            if self._is_held_here():
                gc.collect()  # an optimizer that nobody can reach any more releases it
            self._take()
            os.ftruncate(self._fd, 0)
            os.write(self._fd, f"{os.getpid()}\n".encode())
        except BlockingIOError as error:
            holder, here = _written(self._fd), self._is_held_here()
            self.release()
            raise RunError(
                f"{path.parent.parent} is being written by this very process ({os.getpid()}): call close() or abandon() on the optimizer "
                "that holds it (in a notebook, the one from the cell's last execution), and try again"
                if here
                else f"{path.parent.parent} is being written by another trainer (process {holder}); wait for it to end, or stop it"
            ) from error
        except OSError as error:
            self.release()
            advice = advice_for(error, "is it on a file system with locks?")
            raise _refusal(error)(f"{path} can't be locked: {error.strerror}; {advice}") from error
        except BaseException:
            self.release()
            raise
        _held.add(self)

    @property
    def folder(self) -> int:
        """The descriptor of the lock's folder: that one, whatever its path now leads to. Valid
        while the lock is held."""
        return self._folder

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.release()

    def _is_held_here(self) -> bool:
        """Whether another lock of this process holds the same file."""
        mine = os.fstat(self._fd)
        return any(os.path.samestat(mine, os.fstat(lock._fd)) for lock in list(_held) if lock._fd >= 0)

    def _take(self) -> None:
        patience = time.monotonic() + _LOOK_SECONDS
        while True:
            try:
                fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return
            except BlockingIOError:
                if time.monotonic() > patience:
                    raise
            time.sleep(_LOOK_SECONDS / 10)

    def release(self) -> None:
        """Releases the lock. Does nothing the second time."""
        opened = (self._fd, self._folder)
        self._fd = self._folder = -1
        for fd in opened:
            if fd >= 0:
                os.close(fd)


def holder(path: Path) -> str | None:
    """The process that holds the lock of `path`, as it wrote itself down; None if nobody does.
    RunError if it can't be inspected, StorageError if that is the system's doing.

    It takes the lock for a moment, shared with others who look, which is why RunLock tries for a
    moment.
    """
    try:
        folder = _opened_folder(path.parent)
        try:
            fd = os.open(path.name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=folder)
        finally:
            os.close(folder)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise _refusal(error)(f"{path} can't be inspected: {error.strerror}; make it readable") from error
    try:
        _require_lock(fd, path)
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return _written(fd)
    except OSError as error:
        text = f"{path} can't be inspected: {error.strerror}; is it on a file system with locks?"
        raise _refusal(error)(text) from error
    finally:
        os.close(fd)
    return None


def _refusal(error: OSError) -> type[RunError]:
    return RunError if tells_of_the_file(error) else StorageError


def _opened_folder(path: Path) -> int:
    """The descriptor of the lock's folder. RunError if it is a link or not a folder; OSError for
    whatever else is wrong with it."""
    try:
        return os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError as error:
        if error.errno not in (errno.ENOTDIR, errno.ELOOP):
            raise
        raise RunError(
            f"{path} is a link or not a folder, and is left untouched: put the run's own folder there"
        ) from error


def _require_lock(fd: int, path: Path) -> None:
    status = os.fstat(fd)
    if not stat.S_ISREG(status.st_mode) or status.st_size > _MAX_BYTES:
        raise RunError(f"{path} is not a trainer's lock file: look at it, and remove it")


def _written(fd: int) -> str:
    return os.read(fd, 20).decode("ascii", "replace").strip() or "unknown"


_held: "WeakSet[RunLock]" = WeakSet()


def _forget_in_child() -> None:
    for lock in _held:
        with suppress(OSError):
            lock.release()


os.register_at_fork(after_in_child=_forget_in_child)
