"""Writers of one register take turns. SQLite alone has each of them look now and then whether the
file is free; with many of them, one may look in vain for a minute.

The turn is a lock on the folder, for which the system keeps a queue. It is a courtesy: what keeps
the register right are SQLite's own locks. So a file system that has no such lock, and a process
that has waited its time, go on to those.
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Event, Lock, Thread


@contextmanager
def turn(folder: Path, seconds: float) -> Iterator[None]:
    """While it is this writer's turn; it is waited for at most so many seconds."""
    try:
        fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError:
        yield
        return
    wait = _Wait(fd)
    try:
        wait.wait(seconds)
        yield
    finally:
        wait.end()
        os.sched_yield()  # those who wait are awake now


class _Wait:
    """Who waits for the lock of a descriptor, which is closed in the end."""

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._done = Event()
        self._ended = False
        self._in_thread = False
        self._lock = Lock()

    def wait(self, seconds: float) -> None:
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._in_thread = True
            Thread(target=self._queue, daemon=True).start()  # only a thread that waits can be left waiting
            self._done.wait(seconds)
        except OSError:
            return

    def _queue(self) -> None:
        with suppress(OSError):
            fcntl.flock(self._fd, fcntl.LOCK_EX)
        with self._lock:
            self._done.set()
            if self._ended:
                self._close()

    def end(self) -> None:
        with self._lock:
            self._ended = True
            if not self._in_thread or self._done.is_set():
                self._close()

    def _close(self) -> None:
        with suppress(OSError):
            fcntl.flock(self._fd, fcntl.LOCK_UN)  # a child that was forked meanwhile would keep it
        os.close(self._fd)
