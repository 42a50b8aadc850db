"""The proving thread: settles sealed segments in their order beside the training, with a bounded
backlog.

An exception in the thread is kept, and raised to the training thread when it next asks; nothing is
settled after it.
"""

import sys
import threading
from collections import deque
from collections.abc import Callable, Iterable
from time import monotonic

from zk_autograd.core.errors import ProverError, RunError, ZkError

_STOP_AGAIN = 0.2  # seconds


class ProvingThread:
    """Calls `settle` for each segment that is put. `stopping` is set when the work is abandoned."""

    def __init__(
        self, settle: Callable[[int], None], sealed: Iterable[int], backlog: int, stopping: threading.Event
    ) -> None:
        """Starts with the segments `sealed`; `put` waits while `backlog` others are queued."""
        self._settle = settle
        self._backlog = backlog
        self._stopping = stopping
        self._changed = threading.Condition()
        self._queue = deque(sealed)
        self._busy = False
        self._ended = False
        self._failure: ZkError | None = None
        self._thread = threading.Thread(target=self._work, name="proving", daemon=True)
        self._thread.start()

    @property
    def pending(self) -> int:
        """How many segments are not settled yet, the one being settled included."""
        with self._changed:
            return len(self._queue) + self._busy

    def check(self) -> None:
        """Raises what ended the thread, if anything; RunError if the interpreter ended it."""
        _require_interpreter()
        with self._changed:
            if self._failure:
                raise self._failure

    def put(self, segment: int, on_wait: Callable[[int], None]) -> None:
        """Hands a segment over. If the backlog is full, calls `on_wait(pending)` and waits; a
        failure ends the waiting. RunError as `check`."""
        _require_interpreter()
        with self._changed:
            full = len(self._queue) >= self._backlog
            pending = len(self._queue) + self._busy
        if full:
            on_wait(pending)  # without the lock: it may be slow
        with self._changed:
            self._changed.wait_for(lambda: len(self._queue) < self._backlog or self._failure or self._ended)
            self._queue.append(segment)
            self._changed.notify_all()

    def drain(self) -> None:
        """Waits until all is settled. Raises what ended the thread, as `check`."""
        _require_interpreter()
        with self._changed:
            self._changed.wait_for(lambda: not (self._queue or self._busy) or self._failure or self._ended)
        self.check()

    def stop(self, stop_backend: Callable[[], None], limit: float = 20) -> bool:
        """Ends the thread, and the proof in progress with it. False if it still runs after `limit`
        seconds, or the interpreter has ended it in the middle of something."""
        if sys.is_finalizing():
            return False
        with self._changed:
            self._stopping.set()
            self._changed.notify_all()
        deadline = monotonic() + limit
        while self._thread.is_alive() and monotonic() < deadline:
            stop_backend()  # repeatedly: a proof may have begun just after
            self._thread.join(_STOP_AGAIN)
        return not self._thread.is_alive()

    def leave(self, stop_backend: Callable[[], None], ended: Callable[[], object]) -> None:
        """As `stop`, for the garbage collector, which may run in any thread; `ended` is called if
        the thread has ended."""
        if threading.current_thread() is self._thread:
            # It can't wait for its own end, and may hold any lock just now.
            threading.Thread(target=self.leave, args=(stop_backend, ended), daemon=True).start()
        elif self.stop(stop_backend):
            stop_backend()
            ended()

    def _work(self) -> None:
        try:
            while (segment := self._next()) is not None:
                self._settle_one(segment)
        finally:
            with self._changed:
                self._ended = True
                self._changed.notify_all()

    def _next(self) -> int | None:
        with self._changed:
            self._changed.wait_for(lambda: self._queue or self._failure or self._stopping.is_set())
            if self._failure or self._stopping.is_set():
                return None
            self._busy = True
            segment = self._queue.popleft()
            self._changed.notify_all()
            return segment

    def _settle_one(self, segment: int) -> None:
        failure: ZkError | None = None
        try:
            self._settle(segment)
        except ZkError as error:
            failure = error
        except BaseException as error:  # a panic in a prover's native code is no Exception
            failure = ProverError(f"proving segment {segment} failed with {error!r}; nothing is lost: resume the run")
            failure.__cause__ = error
        with self._changed:
            if failure:
                self._failure = failure
                self._queue.appendleft(segment)  # it is still pending
            self._busy = False
            self._changed.notify_all()


def _require_interpreter() -> None:
    """RunError at the end of the interpreter, as in a `__del__`: the thread never runs again, and
    may hold any lock."""
    if sys.is_finalizing():
        raise RunError(
            "the interpreter is shutting down, and nothing can be proved or recorded any more: close the run before the script ends; it can be resumed"
        )
