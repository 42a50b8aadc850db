"""One trainer at a time: an exclusive flock(2) on a file of the run.

The system releases it when its holder dies, however it dies. A forked child (a data loader's worker, say) would inherit it and hold
it beyond its parent's death: it is closed in the child, which doesn't release the parent's.
"""

import fcntl
import os
from contextlib import suppress
from pathlib import Path
from weakref import WeakSet

from zk_autograd.core.errors import RunError
from zk_autograd.run.files import PRIVATE_FILE


class RunLock:
    """The lock, held from its making on."""

    def __init__(self, path: Path) -> None:
        """Takes the lock of `path`, which is made if missing. RunError if another holds it."""
        try:
            self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, PRIVATE_FILE)
        except OSError as error:
            raise RunError(f"{path} can't be locked: {error.strerror}; make it writable") from error
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.ftruncate(self._fd, 0)
            os.write(self._fd, f"{os.getpid()}\n".encode())
        except BlockingIOError as error:
            holder = os.read(self._fd, 20).decode("ascii", "replace").strip() or "unknown"
            self.release()
            raise RunError(
                f"{path.parent.parent} is being written by another trainer (process {holder}); wait for it, or stop it"
            ) from error
        except OSError as error:
            self.release()
            raise RunError(f"{path} can't be locked: {error.strerror}; is it on a file system with locks?") from error
        _held.add(self)

    def release(self) -> None:
        """Gives the lock back. Does nothing the second time."""
        fd, self._fd = self._fd, -1
        if fd >= 0:
            os.close(fd)


_held: "WeakSet[RunLock]" = WeakSet()


def _forget_in_child() -> None:
    for lock in _held:
        with suppress(OSError):
            lock.release()


os.register_at_fork(after_in_child=_forget_in_child)
