"""Attack: exchange a gradient's commitment after the step was proved for the gradient that was
there.

Gain: a log that names other gradients than those that made the model. Whoever attests to gradients,
or opens them to an auditor, would mean the ones in the log.

Why it fails: the commitment in front of the proof is compared with the record's (step 7).
"""

from attacks.tools.attempt import Attempt, Scene, Submission, outcome
from attacks.tools.outcome import Outcome
from zk_autograd.verify.outcome import Step

GAIN = "a log that names other gradients than those that made the model"


def between_blocks(scene: Scene) -> Submission:
    """The commitments of two blocks of a segment change places."""
    run = scene.victim.forgery()
    one, other = run.segments[0].gradients
    run.edit(0, gradients=(other, one))
    return scene.submit(run)


def between_segments(scene: Scene) -> Submission:
    """A block's commitments of two segments change places."""
    run = scene.victim.forgery()
    first, last = run.segments[0].gradients, run.segments[1].gradients
    run.edit(0, gradients=(last[0], first[1]))
    run.edit(1, gradients=(first[0], last[1]))
    return scene.submit(run)


ATTEMPTS = (
    Attempt("between blocks", Step.PROOFS, "commits to another gradient", between_blocks),
    Attempt("between segments", Step.PROOFS, "commits to another gradient", between_segments),
)


def run(scene: Scene) -> Outcome:
    """All attempts."""
    return outcome("a gradient's commitment swapped", GAIN, ATTEMPTS, scene)
