"""A run whose writer goes away without `close` or `abandon`: it is abandoned on the writer's
behalf, and the user is told.

When the garbage collector takes the writer, its proving thread is stopped, its lock is released,
and a warning `UnclosedRun` says what was left. At the end of the process, which ends thread and
lock anyway, a line on standard error says so. Forked children say nothing: the run isn't theirs.
"""

import atexit
import sys
import threading
import warnings
import weakref
from contextlib import suppress

from zk_autograd.core.errors import RunError
from zk_autograd.core.text import counted
from zk_autograd.run.files import exists
from zk_autograd.run.following import Following
from zk_autograd.run.lock import RunLock
from zk_autograd.run.ownership import Owned
from zk_autograd.run.proving_thread import ProvingThread
from zk_autograd.run.resumption import way_to_resume
from zk_autograd.run.write_order import Settlement


class UnclosedRun(UserWarning):
    """A recorded run was dropped without close() or abandon(). No step is lost, but what was left
    is neither proved nor recorded."""


class Unclosed(Owned):
    """Where an open run stands, and what ends it without its writer; nothing here refers back to
    the writer. `step` is the last one taken."""

    def __init__(
        self, settlement: Settlement, thread: ProvingThread, lock: RunLock, step: int, following: Following
    ) -> None:
        super().__init__()
        self._following = following
        self.step = step
        self._settlement = settlement
        self._thread = thread
        self._lock = lock
        self._finalizer: weakref.finalize[..., object] | None = None

    def watch(self, writer: object) -> None:
        """From now on, until `end`, notices when the writer is gone."""
        self._finalizer = weakref.finalize(writer, self._dropped)
        self._finalizer.atexit = False  # `_tell_at_exit` does that
        _watched.add(self)

    def end(self) -> None:
        """The writer was closed or abandoned."""
        _watched.discard(self)
        if self._finalizer is not None:
            self._finalizer.detach()

    def text(self, what: str) -> str | None:
        """What became of the run (`what`), what is left to do and how to resume it; None if its
        folder is gone, too."""
        run, form = self._settlement.layout.root, self._settlement.header.prover.form
        left = self.step - self._settlement.recorded
        done = "proved and recorded" if form.proves else "recorded"
        if left:
            state = f"of its {counted(self.step, 'step')}, {left} {'is' if left == 1 else 'are'} not {done}"
        else:
            state = (
                f"its {counted(self.step, 'step')} are {done}, and its log has no close record"
                if self.step
                else "it has no steps yet"
            )
        try:
            if not exists(self._settlement.layout.private):
                return None
            return f"the run {run} {what}: {state}. Nothing is lost: `{way_to_resume(run)}` resumes it"
        except RunError:
            return f"the run {run} {what}: {state}"

    def tell(self, what: str) -> None:
        """Prints `text` to standard error, if anybody reads that."""
        if (text := self.text(what)) and sys.stderr is not None:
            with suppress(OSError, ValueError):  # nobody reads it any more
                print(f"warning: {text}", file=sys.stderr)

    def _dropped(self) -> None:
        _watched.discard(self)
        if not self.in_own_process:
            return
        if self._following.is_this_thread():
            # It can't wait for the proving thread, which may wait for it.
            threading.Thread(target=self._leave, daemon=True).start()
        else:
            self._leave()
        if text := self.text("was dropped without close() or abandon()"):
            warnings.warn(text, UnclosedRun, stacklevel=2)

    def _leave(self) -> None:
        self._thread.leave(self._settlement.stop_proving, self._release)

    def _release(self) -> None:
        with suppress(RunError):  # nobody is left who could be told
            self._settlement.journal.sync()
        self._following.end(f"{self._settlement.layout.root} was left")
        self._lock.release()


_watched: set[Unclosed] = set()


@atexit.register
def _tell_at_exit() -> None:
    for run in list(_watched):
        if run.in_own_process:
            run.tell("was not closed")
