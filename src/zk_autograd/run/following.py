"""What follows a run's checkpoints: its register and its anchors, put together for a writer."""

from collections.abc import Sequence

from zk_autograd.core.anchors import BeaconAnchor
from zk_autograd.core.checkpoint import Checkpoint
from zk_autograd.core.errors import UsageError
from zk_autograd.core.keys import Signer
from zk_autograd.core.records import Header
from zk_autograd.core.register import Kind, View
from zk_autograd.run.anchoring import Anchoring, AnchorState, FileStage, Receipts
from zk_autograd.run.asking import ask, introduce
from zk_autograd.run.beacon import awaited
from zk_autograd.run.events import Listener
from zk_autograd.run.files import Files
from zk_autograd.run.layout import Layout
from zk_autograd.run.registering import RegisterStage, Registration, Views
from zk_autograd.run.write_order import Stage


class Following:
    """Writes 6 and 7 of one run; nothing where its header names no register."""

    def __init__(
        self,
        registration: Registration | None,
        layout: Layout,
        header: Header,
        signers: Sequence[Signer],
        files: Files,
        emit: Listener,
    ) -> None:
        """Nothing is read or written yet. UsageError if header and registration contradict each
        other."""
        self._emit = emit
        self.stages: tuple[Stage, ...] = ()
        self._views: Views | None = None
        self._receipts: Receipts | None = None
        self._anchoring: Anchoring | None = None
        if registration is None:
            if header.register:
                raise UsageError(
                    f"{layout.root} is in its trainer's register, {header.register}, and can't go on without it: say where that lies"
                )
            return
        if not header.register:
            raise UsageError(
                f"{layout.root} was begun without a register, and can't be entered afterwards: go on without one"
            )
        views = self._views = Views(layout, header, registration.folder, signers, files)
        receipts = self._receipts = Receipts(layout, files)
        anchoring = self._anchoring = Anchoring(registration.anchors, views, receipts, registration.folder, emit)
        self._folder = registration.folder
        self._anchors = registration.anchors
        introduce(self._anchors, [signer.public_key for signer in signers], header.register)
        self.stages = (
            RegisterStage(
                views,
                header.run,
                registration.every,
                emit,
                lambda: max(views.fullness, receipts.fullness),
                genesis=bool(header.proving),
            ),
            FileStage(views, receipts, registration.folder, anchoring.wake),
        )

    def ask(self, source: BeaconAnchor | None = None) -> None:
        """RunError if an anchor, or who gives the beacon, holds what the register doesn't continue.
        To be called before anything is signed."""
        if self._views is not None:
            ask([*self._anchors, *([] if source is None else [source])], self._views, self._folder, self._emit)

    def begin(self) -> None:
        """Anchors what an earlier process of the run left."""
        if self._anchoring is not None and self.view is not None and not self._anchoring.begun:
            self._anchoring.wake()

    def beacon(self, source: BeaconAnchor, head: Checkpoint) -> bytes:
        """Enters the header, whose tree head this is, and waits for the beacon that it leaves the
        first weights to. RunError, StorageError."""
        assert self._views is not None
        assert self._receipts is not None
        register, _ = self.stages
        register.newest()
        register.do(head, Kind.BEGIN)
        self._receipts.open()
        self._receipts.make()
        return awaited(source, self._views, self._receipts, self._emit)

    @property
    def view(self) -> View | None:
        """The run's newest entry, and the register's checkpoint over it."""
        return None if self._views is None else self._views.last

    @property
    def anchors(self) -> list[AnchorState]:
        """How the anchors stand, the register's own file left out."""
        return [] if self._anchoring is None else self._anchoring.states

    def wait(self) -> None:
        """Waits for the anchors, for a while."""
        if self._anchoring is not None:
            self._anchoring.wait()

    def end(self, reason: str) -> None:
        """Nothing is written any more once this has returned."""
        if self._anchoring is not None:
            self._anchoring.stop()
        for kept in (self._views, self._receipts):
            if kept is not None:
                kept.end(reason)

    def is_this_thread(self) -> bool:
        """Whether the caller is a thread of an anchor."""
        return self._anchoring is not None and self._anchoring.is_this_thread()
