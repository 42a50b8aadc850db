"""Attack on native runs: claim weight decay and prove without it, or decay in secret.

Gain: a log that names a regularisation that never took place, or a step that halves every weight
and that no record mentions.

Why it fails: the constants of each step, decay among them, are recomputed from the header and are
part of the transcript; they determine whether the relations have the decay's lines (step 7). EZKL's
circuits have no such lines: there a run that claims decay is refused in step 5
(attacks/weight_decay_dropped.py).
"""

from dataclasses import replace

from attacks.tools import native_run
from attacks.tools.attempt import NATIVE, Attempt, Scene, Submission, outcome
from attacks.tools.outcome import Outcome
from attacks.tools.victim import SHAPE
from zk_autograd.core.hyper import Rule
from zk_autograd.core.statement import Statement
from zk_autograd.verify.outcome import Step

GAIN = "a regularisation that never took place, or one that nobody knows of"
HALF = 2**14
"""The constant D that halves a weight."""


def decayed(statement: Statement) -> Statement:
    """With a decay by half in the first step."""
    first, *rest = statement.constants
    return replace(statement, constants=(replace(first, D=HALF), *rest))


def undecayed(statement: Statement) -> Statement:
    """Without any decay."""
    return replace(statement, constants=tuple(replace(c, D=0) for c in statement.constants))


def claimed_and_not_proved(scene: Scene) -> Submission:
    """The header says AdamW with a decay of 10; the step is proved without. A thousandth of it is
    in each step's D."""
    shape = replace(SHAPE, rule=Rule.ADAMW)
    claimed = native_run.header(shape.prover, Rule.ADAMW, weight_decay="10")
    start, gradient = native_run.first_state(), native_run.gradient()
    return scene.submit(native_run.prove(claimed, [start], [gradient], shape=shape, proving=undecayed).forgery())


def proved_and_not_claimed(scene: Scene) -> Submission:
    """The header says Adam; the step, which is proved, halves every weight."""
    claimed = native_run.header(SHAPE.prover)
    start, gradient = native_run.first_state(), native_run.gradient()
    return scene.submit(native_run.prove(claimed, [start], [gradient], proving=decayed).forgery())


_WORDS = "proof 0-0: the proof does not verify"

ATTEMPTS = (
    Attempt("claimed and not proved", Step.PROOFS, _WORDS, claimed_and_not_proved, NATIVE),
    Attempt("proved and not claimed", Step.PROOFS, _WORDS, proved_and_not_claimed, NATIVE),
)


def run(scene: Scene) -> Outcome:
    """All attempts."""
    return outcome("weight decay claimed, or hidden", GAIN, ATTEMPTS, scene)
