"""The host has its enclave's register time-stamped. It takes no secret: what is stamped is public,
and a receipt is worth what the authority's signature is worth, whoever carried it.

The register's first checkpoint that covers header and attestation is stamped at once, since an
attestation counts at the time of that stamp, and the last one at the end.
"""

import os
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from time import monotonic
from typing import NoReturn

from zk_autograd.anchor.rfc3161.publish import TimestampAnchor
from zk_autograd.core.anchors import Receipt, SignedCheckpoint
from zk_autograd.core.errors import AnchorDown, AnchorError, RunError, UsageError, VerificationError
from zk_autograd.core.register import MAX_VIEW, View
from zk_autograd.evidence.files import open_bounded
from zk_autograd.evidence.layout import ANCHORS, MAX_VIEWS, RECEIPTS, REGISTER, VIEWS

VIEWS_PATH, RECEIPTS_PATH = f"{REGISTER}/{VIEWS}", f"{ANCHORS}/{RECEIPTS}"
COVERED = 2
"""Records under an entry that covers header and genesis, which names the attestation."""

FIRST_WAIT, LONGEST_WAIT = 1.0, 60.0
LAST_WAIT = 60.0
"""Seconds that the end of a run waits for the authorities."""


class NoHistory:
    """What a host knows of the register that it has stamped: its checkpoint alone. Time-stamp
    authorities ask for no more."""

    def entries(self, first: int, end: int) -> NoReturn:
        """RunError."""
        raise RunError("a host has no register to show")

    def consistency(self, size1: int, size2: int) -> NoReturn:
        """RunError."""
        raise RunError("a host has no register to show")


class Stamper:
    """Has the views of the run in `root` stamped by each anchor. `add` keeps a receipt's line,
    `say` is told in a sentence what happened. `tell` it of each change of the views."""

    def __init__(
        self,
        root: Path,
        anchors: Sequence[TimestampAnchor],
        add: Callable[[str, bytes], None],
        say: Callable[[str], None],
    ) -> None:
        self._root = root
        self._anchors = tuple(anchors)
        self._add = add
        self._say = say
        self._changed = threading.Condition()
        self._wanted: View | None = None
        self._ending = self._stopped = False
        self._held: dict[str, int] = {}
        self._told: dict[str, str] = {}
        self._threads = [
            threading.Thread(target=self._work, args=(anchor,), name="time stamps", daemon=True) for anchor in anchors
        ]
        for thread in self._threads:
            thread.start()

    def tell(self, path: str) -> None:
        """The file at `path` has changed."""
        if path != VIEWS_PATH or not self._anchors:
            return
        try:
            view = _last_view(self._root / path)
            _ = view.head
        except VerificationError as error:
            self._say(f"the enclave's view of its register can't be stamped: {error}")
            return
        with self._changed:
            if view.entry.size >= COVERED:
                self._wanted = view
                self._changed.notify_all()

    def finish(self, seconds: float = LAST_WAIT) -> list[str]:
        """Has the newest view stamped, and waits for that, at most so long. A sentence for each
        anchor that doesn't hold it."""
        end = monotonic() + seconds
        with self._changed:
            self._ending = True
            self._changed.notify_all()
            self._changed.wait_for(lambda: not self._missing(), max(0, end - monotonic()))
            left = [f"{spec}: {self._told.get(spec, 'no answer yet')}" for spec in self._missing()]
            self._stopped = True
            self._changed.notify_all()
        return left

    def _missing(self) -> list[str]:
        if self._wanted is None:
            return []
        return [a.spec for a in self._anchors if self._held.get(a.spec, 0) < self._wanted.head.size]

    def _work(self, anchor: TimestampAnchor) -> None:
        wait = FIRST_WAIT
        while (view := self._next(anchor)) is not None:
            try:
                receipts = anchor.publish(SignedCheckpoint(view.note, view.head), NoHistory())
                self._keep(receipts)
            except (AnchorError, RunError) as error:
                final = isinstance(error, AnchorError) and not isinstance(error, AnchorDown)
                self._failed(anchor, str(error))
                with self._changed:
                    if final or self._changed.wait_for(lambda: self._stopped, wait):
                        return
                wait = min(2 * wait, LONGEST_WAIT)
                continue
            wait = FIRST_WAIT
            self._say(f"{anchor.spec} stamped the register's checkpoint of {view.head.size} entries")
            with self._changed:
                self._held[anchor.spec] = view.head.size
                self._changed.notify_all()

    def _next(self, anchor: TimestampAnchor) -> View | None:
        """The view that is to be stamped, once there is one; None at the end."""

        def due() -> bool:
            if self._stopped:
                return True
            if self._wanted is None:
                return False
            held = self._held.get(anchor.spec, 0)
            return held == 0 or (self._ending and held < self._wanted.head.size)

        with self._changed:
            self._changed.wait_for(due)
            return None if self._stopped else self._wanted

    def _keep(self, receipts: Sequence[Receipt]) -> None:
        for receipt in receipts:
            self._add(RECEIPTS_PATH, receipt.encode())

    def _failed(self, anchor: TimestampAnchor, reason: str) -> None:
        with self._changed:
            tell = self._told.get(anchor.spec) != reason
            self._told[anchor.spec] = reason
        if tell:
            self._say(f"{anchor.spec}: {reason}")


def anchors_of(specs: Sequence[str]) -> list[TimestampAnchor]:
    """The anchors of --anchor's texts. UsageError for one that takes more than a host has."""
    from zk_autograd.anchor.kinds import open_anchor

    found = [open_anchor(spec) for spec in specs]
    for anchor in found:
        if not isinstance(anchor, TimestampAnchor):
            raise UsageError(
                f"an enclave's host can have time stamps only (rfc3161:URL), not {anchor.kind}: its register is in the enclave"
            )
    return [anchor for anchor in found if isinstance(anchor, TimestampAnchor)]


def _last_view(path: Path) -> View:
    with open_bounded(path, MAX_VIEWS) as fd:
        size = os.fstat(fd).st_size
        start = max(size - MAX_VIEW - 1, 0)
        data = os.pread(fd, size - start, start)
    return View.parse(data[:-1].rpartition(b"\n")[2])
