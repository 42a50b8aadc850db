"""Attack: the trainer shows two auditors two logs of one run, each signed, each well formed, each
with its proofs in place.

Gain: one auditor approves of a training, and the model is sold with another; or a past that was
approved of is rewritten after the approval.

Why it fails: whoever holds two of the checkpoints has the proof, and it is transferable
(verify.consistency): two roots of one size contradict each other, and so do a root and a longer log
that doesn't begin with it, whose records show it. Each log alone passes `zk-verify`: nothing in one
view shows that there is no other. A trainer who withholds the longer log's records gains that
nothing can be told, which is never "consistent".
"""

from collections.abc import Callable
from pathlib import Path

from attacks.tools.attempt import Scene
from attacks.tools.outcome import Outcome
from zk_autograd.core.keys import PublicKey
from zk_autograd.evidence.fork_evidence import ForkEvidence
from zk_autograd.evidence.layout import CHECKPOINT, LOG
from zk_autograd.verify.comparison import Comparison, compare
from zk_autograd.verify.consistency import Verdict, decide

GAIN = "two auditors approve of two trainings, and neither knows of the other"
CLAIM = ("0.1",) * 2
PAST = 4
"""The records that the first auditor saw: header, genesis, two segments."""


def two_roots_for_one_size(scene: Scene) -> Comparison:
    """Another claim in the second segment, for the second auditor."""
    return _compared(scene, str(_honest(scene, PAST)), str(_other(scene, PAST)))


def rewritten_past(scene: Scene) -> Comparison:
    """The first auditor saw the run when it was not closed; its longer log has another segment."""
    return _compared(scene, str(_honest(scene, PAST)), str(_other(scene)))


def checkpoint_alone(scene: Scene) -> Comparison:
    """As before; the first auditor kept nothing but the checkpoint."""
    return _compared(scene, str(_honest(scene, PAST) / LOG / CHECKPOINT), str(_other(scene)))


def signed_by_one_key(scene: Scene) -> Comparison:
    """The second log is signed by one of the trainer's two keys alone: whoever pins that one
    accepts it."""
    run = scene.victim.forgery()
    run.edit(1, loss=CLAIM)
    run.signers = run.signers[:1]
    return _compared(scene, str(_honest(scene)), str(run.write(scene.place())))


def records_withheld(scene: Scene) -> Comparison:
    """As before, and the second auditor is shown nothing but a checkpoint either."""
    return _compared(scene, str(_honest(scene, PAST) / LOG / CHECKPOINT), str(_other(scene) / LOG / CHECKPOINT))


def _honest(scene: Scene, size: int | None = None) -> Path:
    run = scene.victim.forgery()
    return run.write(scene.place(), leaves=run.leaves()[:size])


def _other(scene: Scene, size: int | None = None) -> Path:
    run = scene.victim.forgery()
    run.edit(1, loss=CLAIM)
    return run.write(scene.place(), leaves=run.leaves()[:size])


def _compared(scene: Scene, one: str, other: str) -> Comparison:
    return compare(one, other, _keys(scene))


def _keys(scene: Scene) -> tuple[PublicKey, ...]:
    return scene.victim.keys


def travels(found: Comparison, scene: Scene) -> bool:
    """Whether somebody who has nothing but the file comes to the same verdict."""
    if found.proof is None:
        return found.decision.verdict is Verdict.UNTOLD
    return decide(ForkEvidence.parse(found.proof), _keys(scene)).verdict is found.decision.verdict


FORKS: dict[str, tuple[Callable[[Scene], Comparison], Verdict, str]] = {
    "two roots for one size": (two_roots_for_one_size, Verdict.FORK, "two roots for"),
    "the past rewritten": (rewritten_past, Verdict.FORK, "was signed"),
    "seen by its checkpoint alone": (checkpoint_alone, Verdict.FORK, "was signed"),
    "signed by one key alone": (signed_by_one_key, Verdict.FORK, "two roots for"),
    "the records withheld": (records_withheld, Verdict.UNTOLD, "nobody shows the"),
}
"""Each with what becomes of it, and a few words of why."""


def run(scene: Scene) -> Outcome:
    """All forks, of the victim's own run."""
    refused = True
    for fork, verdict, words in FORKS.values():
        found = fork(scene)
        refused &= found.decision.verdict is verdict and words in " ".join(found.decision.sentences)
        refused &= travels(found, scene)
    return Outcome("a log forked", refused, "verify.consistency", GAIN)
