"""A run whose first weights a beacon gives: its header is entered in the register and anchored, and
only then does anybody know the beacon.

The anchored tree ends with the run's begin entry, so that the beacon belongs to this header and to
no other. Nothing of the training is on disk before it: whoever is interrupted here leaves an entry
in the register, and no run.
"""

import time
from random import random

from zk_autograd.core.anchors import BeaconAnchor
from zk_autograd.core.errors import AnchorDown, AnchorError, RunError
from zk_autograd.core.first_weights import BEACON_BYTES
from zk_autograd.core.progress import Progress
from zk_autograd.run.anchoring import Receipts
from zk_autograd.run.events import AnchorFailed, BeaconAwaited, Listener
from zk_autograd.run.registering import Views, checkpoint_of
from zk_autograd.run.returned import checked

FIRST_WAIT = 1.0
LONGEST_WAIT = 60.0
"""Seconds between two tries, which double from the one to the other."""


def awaited(source: BeaconAnchor, views: Views, receipts: Receipts, emit: Listener) -> bytes:
    """The beacon of the run's newest view, which is its begin; its receipt is among the run's.
    RunError if it can't be had. What the listener raises while it is awaited ends the waiting."""
    view = views.last
    assert view is not None
    assert view.head.size == view.index + 1
    wait, told = FIRST_WAIT, ""

    def progress(what: str, done: int, total: int) -> None:
        emit(BeaconAwaited(what, done, total))

    while True:
        progress("waiting for the beacon", 0, 0)
        try:
            with views.register() as register:
                receipt, beacon = source.beacon(checkpoint_of(view), register, progress=progress)
            kept = checked(source.spec, checkpoint_of(view), [receipt])
            break
        except AnchorDown as error:
            if str(error) != told:
                told = str(error)
                emit(AnchorFailed(source.spec, told))
            _sleep(wait * (1 + random()) / 2, progress)
            wait = min(2 * wait, LONGEST_WAIT)
        except AnchorError as error:
            raise RunError(f"{source.spec} gives no beacon for this run: {error}; begin a new run") from error
    if len(beacon) != BEACON_BYTES:
        raise RunError(f"{source.spec} gives a beacon of {len(beacon)} bytes, and one has {BEACON_BYTES}")
    receipts.add(kept)
    return beacon


def _sleep(seconds: float, progress: Progress) -> None:
    """In short pieces, so that the listener can end it."""
    end = time.monotonic() + seconds
    while (left := end - time.monotonic()) > 0:
        time.sleep(min(left, 0.2))
        progress("waiting for the beacon", 0, 0)
