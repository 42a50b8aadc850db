"""Write 6: the run in its trainer's register. Each line of register/views.jsonl shows one of the
run's entries under a checkpoint of the register (core.register.View).

An entry is made first, in one transaction of the register, and its line appended then; a line that
a crash lost is made again from the register, by the same function. The register holds the newest
entry of a run beyond its folder: a run whose log doesn't have those records, because it was copied
and continued elsewhere, is not continued (`RegisterStage.newest`); nor is one that was shown more
of the register than the register has, because that was brought back from an older copy.
The register's own file says so, too, and is asked before each entry (`require_filed`): one that is
made after another past is a second branch, which nothing mends.
"""

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from zk_autograd.anchor.file.publish import FileAnchor
from zk_autograd.core.anchors import Anchor, AskableAnchor, SignedCheckpoint
from zk_autograd.core.checkpoint import Checkpoint
from zk_autograd.core.errors import (
    AnchorBehind,
    AnchorDown,
    AnchorError,
    AnchorForked,
    RunError,
    StorageError,
    UsageError,
    VerificationError,
    ZkError,
)
from zk_autograd.core.keys import PublicKey, Signer
from zk_autograd.core.merkle import verify_consistency
from zk_autograd.core.records import Header
from zk_autograd.core.register import EVERY, MAX_VIEW, Entry, Kind, View, origin_of
from zk_autograd.evidence.layout import MAX_VIEW_LINES, MAX_VIEWS
from zk_autograd.register.register import ANCHORS, Register
from zk_autograd.run.events import Entered, Listener
from zk_autograd.run.files import Files
from zk_autograd.run.layout import Layout
from zk_autograd.run.lines import Lines

WITH_GENESIS = 2
"""Records of a run that has begun: header and genesis."""

NEARLY_FULL = 0.98
"""From here on only the close is entered, and what is anchored after it."""


@dataclass(frozen=True, slots=True)
class Registration:
    """How a trainer wants a run registered: in the register of `folder`, with an entry at every
    `every` records, and its checkpoints held by `anchors`, beside the register's own file."""

    folder: Path
    anchors: tuple[Anchor, ...] = ()
    every: int = EVERY

    def require(self, signers: Sequence[Signer]) -> str:
        """The register's origin. UsageError if none was begun there, or it is not of these keys;
        RunError if it is older than its own file; StorageError if it can't be written to."""
        with closing(Register(self.folder, signers)) as register:
            require_filed(register)
            return origin_of([signer.public_key for signer in signers])


class Views:
    """The run's lines in register/views.jsonl, and the register that they are of. From any thread;
    the register is opened for each use, so that no fork takes a connection along."""

    def __init__(self, layout: Layout, header: Header, folder: Path, signers: Sequence[Signer], files: Files) -> None:
        """No signers: nothing is entered, and what was entered may be anchored."""
        self._path = layout.views
        self._run = header.run
        self._origin = header.register
        self._folder = folder
        self._signers = tuple(signers)
        self._keys = [PublicKey.parse(key) for key in header.keys]
        self._lines = Lines(layout.views, files, MAX_VIEWS, MAX_VIEW_LINES)
        self._lock = threading.Lock()
        self._last: View | None = None
        self._newest: Entry | None = None
        self._lacking = False
        self._ended = ""

    def open(self) -> None:
        """Reads where the run stands in the register. RunError if that contradicts the register."""
        lines = self._lines.open(MAX_VIEW + 1)
        try:
            self._last = View.parse(lines[-1]) if lines else None
        except VerificationError as error:
            raise RunError(f"the last line of {self._path} was altered: {error}; restore it from a copy") from error
        with self.register() as register:
            if self._last is not None:
                self._require_continued(register, self._last.head)
            self._newest = register.newest_of(self._run)
            before = register.newest_of(self._run, 1)
        shown = None if self._last is None else self._last.entry
        # A crash loses the newest line, and no other.
        self._lacking = self._newest is not None and shown not in (self._newest, before)
        least = 0 if self._last is None else self._last.entry.size
        if least > (0 if self._newest is None else self._newest.size):
            raise RunError(
                f"{self._path} shows an entry of {least} records that the register in {self._folder} doesn't have: one of the two was "
                "altered, or is an older copy; restore the newest copy"
            )

    @property
    def last(self) -> View | None:
        """The newest line."""
        return self._last

    @property
    def fullness(self) -> float:
        """How much of what a reader takes the lines are: 0 .. 1."""
        return self._lines.fullness

    @property
    def newest(self) -> Entry | None:
        """The run's newest entry, whose line may be missing."""
        return self._newest

    def require_whole(self) -> None:
        """RunError if lines are missing that no crash takes away."""
        if self._lacking:
            raise RunError(f"{self._path} lacks lines that were written: restore it from a copy")

    def enter(self, entry: Entry) -> View:
        """Makes the entry, unless it is there, and appends its line."""
        with self._lock:
            self._require_open()
            self._lines.make()
            with self.register() as register:
                require_filed(register)
                view = register.enter(entry, self._since, self._newest)
            self._newest = entry
            self._append(view)
            return view

    def fresh(self) -> View:
        """The newest line, after one for the register's newest checkpoint if it has grown since."""
        with self._lock:
            self._require_open()
            assert self._last is not None
            with self.register() as register:
                view = register.view(self._run, self._since)
            if view.entry != self._newest:
                raise RunError(
                    f"the register in {self._folder} has an entry of this run that this trainer didn't make: a copy of the run is being "
                    "continued elsewhere, and only one of the two can go on"
                )
            if view.note != self._last.note and self.fullness < NEARLY_FULL:
                self._append(view)
            return self._last

    def end(self, reason: str) -> None:
        """Nothing is written any more, in any thread, once this has returned."""
        with self._lock:
            self._ended = self._ended or reason

    @contextmanager
    def register(self) -> Iterator[Register]:
        """The register, open."""
        opened = Register(self._folder, self._signers) if self._signers else Register.read(self._folder, self._keys)
        with closing(opened) as register:
            if register.origin != self._origin:
                raise UsageError(
                    f"the register in {self._folder} is {register.origin}, and this run is in {self._origin}"
                )
            yield register

    @property
    def _since(self) -> int:
        return 0 if self._last is None else self._last.head.size

    def _append(self, view: View) -> None:
        self._lines.append(view.encode())
        self._last = view

    def _require_open(self) -> None:
        if self._ended:
            raise RunError(self._ended)

    def _require_continued(self, register: Register, seen: Checkpoint) -> None:
        """RunError unless the register begins with what this run saw of it."""
        now = register.checkpoint.head
        try:
            if now.size < seen.size:
                raise VerificationError("it is shorter", expected=f"{seen.size} entries or more", found=str(now.size))
            proof = register.consistency(seen.size, now.size)
            verify_consistency(seen.size, now.size, seen.root, now.root, proof)
        except VerificationError as error:
            raise RunError(
                f"the register in {self._folder} doesn't continue the one that {self._path} shows ({error}): it was brought back from an "
                "older copy, or begun again. Bring back its newest copy, or recover it with `zk-register recover`; going on would fork it"
            ) from error


def require_continued(anchor: AskableAnchor, register: Register) -> None:
    """AnchorBehind if the anchor holds a larger tree than the register, AnchorForked if another
    branch; and as the anchor. Another process may enter and publish meanwhile."""
    while True:
        checkpoint = register.checkpoint
        try:
            return anchor.require_continued(checkpoint, register)
        except AnchorBehind:
            if register.checkpoint.head.size <= checkpoint.head.size:
                raise


def require_filed(register: Register) -> None:
    """RunError if the register's own file shows that it was brought back from an older copy, or
    begun again; StorageError if that can't be read."""
    try:
        require_continued(FileAnchor(register.folder / ANCHORS), register)
    except AnchorError as error:
        raise refused_by_file(error) from error


def refused_by_file(error: AnchorError) -> ZkError:
    """What is said where the register's own file takes no checkpoint."""
    if isinstance(error, AnchorDown):
        return StorageError(f"{error}, and resume the run")
    if isinstance(error, AnchorBehind | AnchorForked):
        return RunError(
            f"{error}: the register beside it was brought back from an older copy, or begun again. Bring back its newest copy, or "
            "recover it with `zk-register recover`; going on would fork it"
        )
    return RunError(str(error))


class RegisterStage:
    """Enters the header, then every `every` records, and the close (run.write_order.Stage).
    `genesis`: the genesis record, too, as soon as it is there. An enclave's names its attestation:
    whoever time-stamps that entry time-stamps header and attestation.

    `fullness`: how much of what a reader takes the run's lines and receipts are. From a quarter on
    entries are twice as rare as was asked for, then four and eight times, so that a run of any
    length ends with its close.
    """

    def __init__(
        self,
        views: Views,
        run: bytes,
        every: int,
        emit: Listener,
        fullness: Callable[[], float] = lambda: 0,
        *,
        genesis: bool = False,
    ) -> None:
        self._genesis = genesis
        self._fullness = fullness
        self._views = views
        self._run = run
        self._every = every
        self._emit = emit

    def newest(self) -> tuple[int, bytes] | None:
        """Size and root of what the register has of the run, which its log must hold."""
        self._views.open()
        entry = self._views.newest
        return None if entry is None else (entry.size, entry.root)

    def done(self, head: Checkpoint, kind: Kind) -> bool:
        """Whether nothing is to be entered. RunError for a log that the register contradicts."""
        self._views.require_whole()
        last, newest = self._views.last, self._views.newest
        if last is None:
            if kind is not Kind.BEGIN:
                raise RunError(
                    "the run says that it is in its trainer's register, and the register has no entry of it: it was brought back from an "
                    "older copy, or begun again; bring back its newest copy, or recover it with `zk-register recover`"
                )
            return False
        if newest is not None and newest.size == head.size and newest != last.entry:
            return False  # its line was lost
        if last.entry.size >= head.size:
            return True
        if kind is Kind.CLOSE or (self._genesis and last.entry.size < WITH_GENESIS):
            return False
        full = self._fullness()
        return full >= NEARLY_FULL or head.size - last.entry.size < self._every * 2 ** int(4 * full)

    def do(self, head: Checkpoint, kind: Kind) -> None:
        """Makes the entry and its line."""
        view = self._views.enter(Entry(kind, self._run, head.size, head.root))
        self._emit(Entered(view.index, head.size))


def checkpoint_of(view: View) -> SignedCheckpoint:
    """The register's checkpoint that the line has."""
    return SignedCheckpoint(view.note, view.head)
