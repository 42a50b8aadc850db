"""Attack: roll a TPM's counter back, or the register beside it, and have more signed.

Gain: a history under one key that begins again where it suits, each part with a true statement of a
TPM whose counter is said never to go back.

Why it fails: a software TPM's state is a file, and its host can put an older copy back. Then the
TPM signs another tree at a value that it had already; and one that counts on signs a smaller tree
at a higher value. Two such statements contradict each other for whoever sees both: among a run's
receipts step 4 does (core.anchors.require_order). One receipt alone shows nothing of it, and none
of a TPM is ever said to exclude a fork.

It needs swtpm and tpm2-pytss (`missing`).
"""

import shutil
from pathlib import Path
from tempfile import TemporaryDirectory

from attacks.tools.outcome import Outcome
from attacks.tools.register_tree import Tree
from attacks.tools.registered import PLACES, Attempt, Submission, Trainer
from attacks.tools.registered import outcome as outcome_of
from attacks.tools.software_tpm import Emulator, missing
from zk_autograd.anchor.tpm.publish import TpmAnchor, attestation_key
from zk_autograd.anchor.tpm.receipt import Trust
from zk_autograd.anchor.tpm.structures import name_of
from zk_autograd.core.anchors import Receipt, SignedCheckpoint

__all__ = ["ATTEMPTS", "missing", "run"]

NAME = "a counter rolled back"
GAIN = "a history that begins again where it suits, with true statements of a TPM"
WORDS = "the register was rolled back or has two branches"


class _NoHistory:
    """A TPM is given a hash, and nothing of the register's entries."""

    def entries(self, first: int, end: int) -> list[bytes]:
        raise NotImplementedError

    def consistency(self, size1: int, size2: int) -> list[bytes]:
        raise NotImplementedError


def _anchored(tcti: str, state: Path, tree: Tree, size: int) -> Receipt:
    """The TPM's receipt; `state` is what the trainer's machine remembers."""
    [receipt] = TpmAnchor(tcti, state=state).publish(SignedCheckpoint.parse(tree.note(size)), _NoHistory())
    return receipt


def _submitted(trainer: Trainer, tree: Tree, tcti: str, *receipts: Receipt) -> Submission:
    """For an auditor who knows the key to be this TPM's."""
    trust = Trust(names=frozenset([name_of(attestation_key(tcti, tree.origin))]))
    return trainer.submit(tree.views(*PLACES), receipts, anchors={"tpm": trust})


def counter(trainer: Trainer) -> Submission:
    """An older copy of the TPM's state is put back, and of the trainer's folder: one value for two
    trees."""
    tree = trainer.tree()
    with TemporaryDirectory(prefix="zk-tpm-") as name:
        folder = Path(name)
        tpm = Emulator(folder / "tpm")
        try:
            _anchored(tpm.tcti, folder / "state", tree, 2)
            tpm.stop()
            shutil.copytree(tpm.state, folder / "older")
            tpm.start()
            one = _anchored(tpm.tcti, folder / "state", tree, 4)
            tpm.roll_back(folder / "older")
            other = _anchored(tpm.tcti, folder / "another state", tree, 5)
            return _submitted(trainer, tree, tpm.tcti, one, other)
        finally:
            tpm.stop()


def register(trainer: Trainer) -> Submission:
    """The TPM counts on, and the register is an older copy: a smaller tree at a higher value."""
    tree = trainer.tree()
    with TemporaryDirectory(prefix="zk-tpm-") as name:
        folder = Path(name)
        tpm = Emulator(folder / "tpm")
        try:
            one = _anchored(tpm.tcti, folder / "state", tree, 5)
            other = _anchored(tpm.tcti, folder / "another state", tree, 4)
            return _submitted(trainer, tree, tpm.tcti, one, other)
        finally:
            tpm.stop()


ATTEMPTS = (
    Attempt("the counter rolled back", WORDS, counter),
    Attempt("the register rolled back", WORDS, register),
)


def run() -> Outcome:
    """All attempts."""
    if why := missing():
        return Outcome(NAME, False, "", GAIN, skipped=why)
    return outcome_of(NAME, GAIN, ATTEMPTS)
