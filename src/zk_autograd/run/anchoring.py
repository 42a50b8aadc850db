"""Write 7: the register's checkpoints are anchored, and what anchors give is kept in
anchors/receipts.jsonl (core.anchors.Receipt).

The register's own file (`FileStage`) takes each checkpoint under which the run was entered, before
training goes on. Every other anchor has a thread of its own (`Anchoring`), which publishes the
newest checkpoint alone: what came between is under it. One that is down is tried again, less and
less often, while training goes on; the run doesn't wait for it before its end, and then only for a
while.
"""

import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from random import random
from time import monotonic, sleep

from zk_autograd.anchor.file.publish import FileAnchor
from zk_autograd.core.anchors import MAX_RECEIPT, Anchor, Receipt
from zk_autograd.core.checkpoint import Checkpoint
from zk_autograd.core.errors import (
    AnchorBehind,
    AnchorDown,
    AnchorError,
    AnchorForked,
    RunError,
    VerificationError,
    ZkError,
)
from zk_autograd.core.register import Kind, View
from zk_autograd.evidence.layout import MAX_RECEIPT_LINES, MAX_RECEIPTS
from zk_autograd.local.kept_files import write_over
from zk_autograd.run.events import Anchored, AnchorFailed, AnchorsAwaited, Listener
from zk_autograd.run.files import Files
from zk_autograd.run.layout import Layout
from zk_autograd.run.lines import Lines
from zk_autograd.run.registering import NEARLY_FULL, Views, checkpoint_of, refused_by_file
from zk_autograd.run.returned import published

FILE = "anchors.jsonl"
"""The register's own anchor, in its folder."""

FIRST_WAIT = 1.0
LONGEST_WAIT = 300.0
"""Seconds between two tries, which double from the one to the other."""

LAST_WAIT = 60.0
"""Seconds that the end of a run waits for its anchors."""

_LOOK = 0.2
"""Seconds between two words of what is waited for."""

_TRIES = 100
"""For a checkpoint that is newer than what another process of the same register has published."""

BEHIND = 3
"""How often in a row an anchor has more than the register until that is believed."""

_TAIL = 4 * MAX_RECEIPT


class Receipts:
    """The run's receipts. From any thread."""

    def __init__(self, layout: Layout, files: Files, *, reserved: bool = True) -> None:
        """`reserved`: the last of what a reader takes is kept for the end of the run."""
        self.reserved = reserved
        self._path = layout.receipts
        self._lines = Lines(layout.receipts, files, MAX_RECEIPTS, MAX_RECEIPT_LINES)
        self._lock = threading.Lock()
        self._known: set[bytes] = set()
        self._filed = 0
        self._ended = ""

    def open(self) -> None:
        """Reads the newest ones. RunError for any that isn't a receipt."""
        try:
            for line in self._lines.open(_TAIL):
                self._note(Receipt.parse(line), line)
        except VerificationError as error:
            raise RunError(f"{self._path} was altered: {error}; restore it from a copy") from error

    def make(self) -> None:
        """The file is there."""
        with self._lock:
            self._lines.make()

    @property
    def fullness(self) -> float:
        """How much of what a reader takes there is: 0 .. 1."""
        return self._lines.fullness

    @property
    def filed(self) -> int:
        """The size of the newest of the register's checkpoints that a file holds."""
        return self._filed

    def add(self, receipts: Sequence[Receipt]) -> None:
        """Appends those that aren't there."""
        with self._lock:
            if self._ended:
                raise RunError(self._ended)
            if self.reserved and self.fullness >= NEARLY_FULL:
                raise RunError(f"{self._path} is nearly as long as a reader takes it: the rest is for the run's end")
            for receipt in receipts:
                line = receipt.encode()
                if sha256(line).digest() not in self._known:
                    self._lines.append(line)
                    self._note(receipt, line)

    def end(self, reason: str) -> None:
        """Nothing is written any more, in any thread, once this has returned."""
        with self._lock:
            self._ended = self._ended or reason

    def _note(self, receipt: Receipt, line: bytes) -> None:
        self._known.add(sha256(line).digest())
        if receipt.kind == FileAnchor.kind:
            self._filed = max(self._filed, receipt.size)


class FileStage:
    """Has the checkpoint of the run's newest view put into the register's own file, and wakes the
    other anchors (run.write_order.Stage)."""

    def __init__(self, views: Views, receipts: Receipts, folder: Path, wake: Callable[[], None]) -> None:
        self._views = views
        self._receipts = receipts
        self._anchor = FileAnchor(folder / FILE)
        self._wake = wake

    def newest(self) -> tuple[int, bytes] | None:
        """What the register's stage says."""
        self._receipts.open()
        return None

    def done(self, head: Checkpoint, kind: Kind) -> bool:
        """Whether the newest view's checkpoint is in the file, or there is no room for its
        receipt."""
        last = self._views.last
        full = kind is not Kind.CLOSE and self._receipts.fullness >= NEARLY_FULL
        return last is None or full or self._receipts.filed >= last.head.size

    def do(self, head: Checkpoint, kind: Kind) -> None:
        """Puts it there, and keeps the receipt. RunError if the register contradicts the file,
        StorageError if that can't be written."""
        self._receipts.make()
        self._receipts.reserved = kind is not Kind.CLOSE
        try:
            publish(self._anchor, self._views, self._receipts)
        except AnchorError as error:
            raise refused_by_file(error) from error
        self._wake()


def publish(anchor: Anchor, views: Views, receipts: Receipts, held: View | None = None) -> View:
    """Has the register's newest checkpoint anchored, unless that is the one of `held`; the view
    whose checkpoint it is, which is among the run's before the receipts are. AnchorError as
    run.returned.published, RunError where the run can't be written."""
    for tries in range(_TRIES):
        view = views.fresh()
        if held is not None and view.note == held.note:
            return held
        try:
            with views.register() as register:
                receipts.add(published(anchor, checkpoint_of(view), register))
            return view
        except AnchorBehind:
            with views.register() as register:
                if register.checkpoint.head.size <= view.head.size:
                    raise
        sleep(random() * min(tries, 10) / 200)  # another process was quicker: the register has what it published
    raise AnchorDown(f"{anchor.spec}: other processes of this register were quicker {_TRIES} times; try again")


@dataclass(frozen=True, slots=True)
class AnchorState:
    """How an anchor stands. `records`: how many of the run's records it holds (0: none); `size`:
    of how many entries the register's checkpoint is that it holds; `pending`: the run has entries
    that it doesn't hold; `trouble`: what it said last, "" if nothing; `forked`: it holds another
    branch."""

    anchor: str
    records: int
    size: int
    pending: bool
    trouble: str
    forked: bool


class Anchoring:
    """The anchors beside the register's own file, each with its thread. They begin with the first
    `wake`."""

    def __init__(self, anchors: Sequence[Anchor], views: Views, receipts: Receipts, folder: Path, emit: Listener):
        self._changed = threading.Condition()
        self._emit = emit
        self._workers = [_Worker(anchor, views, receipts, folder, emit, self._changed) for anchor in anchors]

    def wake(self) -> None:
        """There is another entry."""
        with self._changed:
            for worker in self._workers:
                worker.wanted += 1
                worker.begin()
            self._changed.notify_all()

    @property
    def begun(self) -> bool:
        """Whether there was a first `wake`, or there is nothing to wake."""
        return all(worker.wanted for worker in self._workers)

    @property
    def states(self) -> list[AnchorState]:
        """How each anchor stands, in the order they were given."""
        with self._changed:
            return [worker.state for worker in self._workers]

    def wait(self) -> None:
        """Until each anchor has what it is to have, or won't take it; at most LAST_WAIT seconds.
        Ctrl-C ends the waiting, and nothing else, as does KeyboardInterrupt of the listener, which
        is told every now and then who is waited for."""
        deadline = monotonic() + LAST_WAIT
        with suppress(KeyboardInterrupt):
            with self._changed:
                for worker in self._workers:
                    worker.hurry()
                self._changed.notify_all()
            while (left := deadline - monotonic()) > 0:
                with self._changed:
                    if not (awaited := tuple(worker.spec for worker in self._workers if worker.works)):
                        return
                    self._changed.wait(min(left, _LOOK))
                with suppress(Exception):  # the run is complete, whatever becomes of who is told
                    self._emit(AnchorsAwaited(awaited))

    def stop(self) -> None:
        """The threads end after what they are doing. They write nothing any more once views and
        receipts are ended."""
        with self._changed:
            for worker in self._workers:
                worker.stopping = True
            self._changed.notify_all()

    def is_this_thread(self) -> bool:
        """Whether the caller is one of the threads."""
        return any(worker.thread is threading.current_thread() for worker in self._workers)


class _Worker:
    """One anchor and its thread. `wanted` counts the entries that were told of, `held` how many of
    them the anchor holds. All of it is guarded by `changed`."""

    def __init__(
        self,
        anchor: Anchor,
        views: Views,
        receipts: Receipts,
        folder: Path,
        emit: Listener,
        changed: threading.Condition,
    ) -> None:
        self.wanted = self.held = 0
        self.stopping = False
        self.thread: threading.Thread | None = None
        self._anchor = anchor
        self._views = views
        self._receipts = receipts
        self._folder = folder
        self._emit = emit
        self._changed = changed
        self._wait = FIRST_WAIT
        self._until = 0.0
        self._ahead = 0
        self._final = self._forked = False
        self._trouble = ""
        self._told = ""
        self._view: View | None = None

    def begin(self) -> None:
        if self.thread is None:
            self.thread = threading.Thread(target=self._work, name=f"anchor {self._anchor.kind}", daemon=True)
            self.thread.start()

    @property
    def spec(self) -> str:
        return self._anchor.spec

    @property
    def works(self) -> bool:
        """Whether there is something left that may still come to pass."""
        return self.held < self.wanted and not self._final and not self.stopping

    @property
    def state(self) -> AnchorState:
        records, size = (0, 0) if self._view is None else (self._view.entry.size, self._view.head.size)
        return AnchorState(self._anchor.spec, records, size, self.held < self.wanted, self._trouble, self._forked)

    def hurry(self) -> None:
        """Tries again at once, and then often."""
        self._wait, self._until = FIRST_WAIT, 0.0

    def _work(self) -> None:
        while (wanted := self._next()) is not None:
            try:
                view = publish(self._anchor, self._views, self._receipts, self._view)
                if view is not self._view:
                    self._emit(Anchored(self._anchor.spec, view.head.size))
            except BaseException as error:  # even a panic in an anchor's library ends no training
                self._failed(error)
            else:
                with self._changed:
                    self.held, self._view, self._ahead = wanted, view, 0
                    self._wait, self._trouble, self._told = FIRST_WAIT, "", ""
                    self._changed.notify_all()

    def _next(self) -> int | None:
        """What is wanted, once there is something to do; None at the end."""
        with self._changed:
            while not self.stopping:
                now = monotonic()
                if self.works and now >= self._until:
                    return self.wanted
                self._changed.wait(self._until - now if self.works else None)
            return None

    def _failed(self, error: BaseException) -> None:
        trouble = str(error) if isinstance(error, ZkError) else f"it failed with {error!r}"
        self._ahead += isinstance(error, AnchorBehind)
        if isinstance(error, AnchorBehind) and self._ahead >= BEHIND:
            trouble = str(refused(self._anchor, error, self._folder))
            self._views.end(trouble)
        lasting = not isinstance(error, AnchorDown | AnchorBehind | RunError)
        final = lasting or self._ahead >= BEHIND
        if isinstance(error, AnchorForked):
            trouble = f"{trouble}. {kept_fork(self._folder, error.note)}"
        with self._changed:
            if self.stopping:
                return
            self._trouble, self._final, self._forked = trouble, final, isinstance(error, AnchorForked)
            self._until = monotonic() + self._wait * (1 + random()) / 2
            self._wait = min(2 * self._wait, LONGEST_WAIT)
            tell, self._told = trouble != self._told, trouble
            self._changed.notify_all()
        if tell:
            try:
                self._emit(AnchorFailed(self._anchor.spec, trouble, final, isinstance(error, AnchorForked)))
            except BaseException:  # whoever is told can't stop this
                return


def refused(anchor: Anchor, error: AnchorBehind | AnchorForked, folder: Path) -> RunError:
    """Why nothing is entered in the register of `folder`."""
    kept = f". {kept_fork(folder, error.note)}" if isinstance(error, AnchorForked) and error.note else ""
    return RunError(
        f"{anchor.spec}: {error}{kept}. Nothing is signed: the register in {folder} was brought back from an older copy, or begun again, "
        "and going on would fork it. Bring back its newest copy, or recover it with `zk-register recover`; if the anchor is "
        "wrong, leave it out"
    )


def kept_fork(folder: Path, note: bytes) -> str:
    """Keeps another branch's checkpoint in the register's folder, and says where."""
    if not note:
        return "It gave no checkpoint that could be kept as evidence"
    path = folder / f"forked-{sha256(note).hexdigest()[:16]}.note"
    try:
        write_over(path, note, "the other branch's checkpoint")
    except ZkError as error:
        return f"Its checkpoint could not be kept: {error}"
    return f"Its checkpoint is kept in {path}"
