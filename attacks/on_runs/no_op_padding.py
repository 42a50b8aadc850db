"""Attack: count padding as training. A segment shorter than its circuit is padded with no-ops;
claim that they were steps.

Gain: more steps than were computed, two full segments for one and two steps, at no cost: a no-op
changes nothing, so the chain holds.

Why it fails: the verifier computes the constants of each step that a record claims, and a no-op's
differ (step 7). What remains is that a segment may be short anywhere; its record says so, and the
report counts such segments.
"""

from dataclasses import replace

from attacks.tools.attempt import Attempt, Scene, Submission, outcome
from attacks.tools.outcome import Outcome
from zk_autograd.verify.outcome import Step

GAIN = "steps that were never computed"


def counted_as_steps(scene: Scene) -> Submission:
    """The second segment, of two steps, claims as many as its circuit has."""
    run = scene.victim.forgery()
    first = run.segments[1].first
    last = first + run.header.prover.steps - 1
    run.edit(1, last=last, lr=run.segments[1].lr[:1] * run.header.prover.steps)
    run.close = replace(run.closing, last_step=last)
    return scene.submit(run)


ATTEMPTS = (Attempt("counted as steps", Step.PROOFS, "proof 1-0: the proof does not verify", counted_as_steps),)


def run(scene: Scene) -> Outcome:
    """All attempts."""
    return outcome("no-op padding counted as training", GAIN, ATTEMPTS, scene)
