"""Before a run signs anything, its anchors are asked what they hold of the register.

A register whose whole folder was brought back from an older copy looks whole: only an anchor that
lies elsewhere knows better. What is entered before it is asked would be a second branch.
"""

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from queue import Empty, SimpleQueue
from threading import Thread
from time import monotonic
from typing import cast

from zk_autograd.core.anchors import Anchor, AskableAnchor
from zk_autograd.core.errors import AnchorBehind, AnchorForked, ZkError
from zk_autograd.core.keys import Algorithm, PublicKey
from zk_autograd.core.register import renamed
from zk_autograd.run.anchoring import refused
from zk_autograd.run.events import AnchorFailed, Listener
from zk_autograd.run.registering import Views, require_continued

ASK_SECONDS = 15.0
"""How long a run waits, at its start, for what its anchors say."""


def introduce(anchors: Sequence[Anchor], keys: Sequence[PublicKey], origin: str) -> None:
    """Tells the anchors who signs the register of this origin. Of a trainer's keys it is the
    Ed25519 one: the others may be younger than what an anchor holds."""
    known = [key for key in renamed(keys, origin) if key.algorithm is Algorithm.ED25519]
    for anchor in anchors:
        if (know := getattr(anchor, "know", None)) is not None:
            know(known)


def ask(anchors: Sequence[Anchor], views: Views, folder: Path, emit: Listener) -> None:
    """Asks all of them at once that can be asked, and waits for at most ASK_SECONDS. RunError if
    one holds a larger tree than the register, or another branch; of any that can't tell, `emit` is
    told, and the run goes on."""
    left = [cast(AskableAnchor, anchor) for anchor in anchors if hasattr(anchor, "require_continued")]
    answers: SimpleQueue[tuple[AskableAnchor, BaseException | None]] = SimpleQueue()
    for anchor in left:
        Thread(target=_asked, args=(anchor, views, answers), name=f"asking {anchor.kind}", daemon=True).start()
    deadline = monotonic() + ASK_SECONDS
    while left:
        try:
            anchor, error = answers.get(timeout=max(deadline - monotonic(), 0.001))
        except Empty:
            for anchor in left:
                _tell(emit, anchor, f"it didn't say within {ASK_SECONDS:.0f} seconds what it holds of the register")
            return
        left.remove(anchor)
        if isinstance(error, AnchorBehind | AnchorForked):
            raise refused(anchor, error, folder)
        if error is not None:
            _tell(emit, anchor, str(error) if isinstance(error, ZkError) else f"it failed with {error!r}")


def _asked(
    anchor: AskableAnchor, views: Views, answers: SimpleQueue[tuple[AskableAnchor, BaseException | None]]
) -> None:
    try:
        with views.register() as register:
            require_continued(anchor, register)
        answers.put((anchor, None))
    except BaseException as error:  # whatever an anchor's library raises, the others are waited for
        answers.put((anchor, error))


def _tell(emit: Listener, anchor: Anchor, reason: str) -> None:
    with suppress(Exception):  # whoever is told can't stop this
        emit(AnchorFailed(anchor.spec, reason))
