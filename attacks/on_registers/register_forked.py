"""Attack: show two auditors two branches of the register, each signed, each with the run in it.

Gain: two histories under one key: for the first auditor a run was begun before and failed, for the
second it never was; and each run passes `zk-verify`.

Why it fails: whoever has both runs, or nothing but their files of views, has the proof, and it is
transferable: two signed roots for one size (`zk-verify compare`, verify.register_comparison). A
trainer who shows no size twice gains that nothing can be told, which is never "consistent".
"""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

from attacks.on_registers.branches_selected import branch
from attacks.tools.outcome import Outcome
from attacks.tools.registered import PLACES, Trainer
from zk_autograd.core.errors import VerificationError
from zk_autograd.evidence.fork_evidence import ForkEvidence
from zk_autograd.evidence.layout import REGISTER, VIEWS
from zk_autograd.verify.comparison import Comparison, compare
from zk_autograd.verify.consistency import Verdict, decide

NAME = "a register forked"
GAIN = "two histories under one key, and neither auditor knows of the other's"


def two_runs(trainer: Trainer) -> Comparison:
    """Each auditor has a run, and its views."""
    return _compared(trainer, *_both(trainer))


def views_alone(trainer: Trainer) -> Comparison:
    """Each has nothing but the file of views."""
    return _compared(trainer, *(path / REGISTER / VIEWS for path in _both(trainer)))


def signed_by_one_key(trainer: Trainer) -> Comparison:
    """The second branch is signed by one of the trainer's two keys alone."""
    tree, other = trainer.tree(), branch(trainer)
    other.signers = other.signers[:1]
    return _compared(trainer, *(trainer.submit(one.views(*PLACES)).path for one in (tree, other)))


def no_size_twice(trainer: Trainer) -> Comparison:
    """Their files of views have no size above the first two entries in common, and up to there the
    branches are one."""
    tree, other = trainer.tree(), branch(trainer)
    views = tree.views(*PLACES), other.views((1, 2), (3, 6))
    return _compared(trainer, *(trainer.submit(one).path / REGISTER / VIEWS for one in views))


def _both(trainer: Trainer) -> tuple[Path, Path]:
    tree, other = trainer.tree(), branch(trainer)
    return trainer.submit(tree.views(*PLACES)).path, trainer.submit(other.views(*PLACES)).path


def _compared(trainer: Trainer, one: Path, other: Path) -> Comparison:
    return compare(str(one), str(other), trainer.policy.keys)


def travels(found: Comparison, trainer: Trainer) -> bool:
    """Whether somebody who has nothing but the file comes to the same verdict, and
    nobody does under other keys."""
    if found.proof is None:
        return found.decision.verdict is Verdict.UNTOLD
    keys = trainer.policy.keys
    evidence = ForkEvidence.parse(found.proof)
    if decide(evidence, keys).verdict is not found.decision.verdict:
        return False
    strangers = tuple(replace(key, raw=bytes(reversed(key.raw))) for key in keys[:1])
    try:
        return decide(evidence, strangers).verdict is not Verdict.FORK
    except VerificationError:
        return True


FORKS: dict[str, tuple[Callable[[Trainer], Comparison], Verdict]] = {
    "two runs": (two_runs, Verdict.FORK),
    "their views alone": (views_alone, Verdict.FORK),
    "signed by one key alone": (signed_by_one_key, Verdict.FORK),
    "no size twice": (no_size_twice, Verdict.UNTOLD),
}
"""Each with what becomes of it."""


def run() -> Outcome:
    """All forks."""
    with TemporaryDirectory(prefix="zk-attacks-") as folder:
        trainer = Trainer(Path(folder))
        refused = True
        for fork, verdict in FORKS.values():
            found = fork(trainer)
            refused &= found.decision.verdict is verdict and travels(found, trainer)
    return Outcome(NAME, refused, "zk-verify compare", GAIN, "none")
