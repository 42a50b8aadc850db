"""Attack: change one weight by one unit, 2^-32, after the proofs are made; the trainer's own key
re-signs everything.

Gain: weights that no step produced. One unit is the smallest change: whoever can move a weight by
one unit can move all of them anywhere.

Why it fails: published weights must open the last commitment of W (step 10). If that commitment is
changed along with them, in the last segment's record and in the close record, it is no longer the
one in front of the proof (step 7).
"""

import numpy as np

from attacks.tools.attempt import Attempt, Scene, Submission, outcome
from attacks.tools.outcome import Outcome
from zk_autograd.core.formats import IntArray
from zk_autograd.verify.outcome import Step

GAIN = "weights of the attacker's choice, with a proof for each step"
ELEMENT = 5


def published(scene: Scene) -> Submission:
    """In the published files alone."""
    run = scene.victim.forgery()
    run.publish(moved(scene), scene.victim.salts)
    return scene.submit(run)


def recorded(scene: Scene) -> Submission:
    """In the records too: the last commitment of block 0 is one to the changed weights, with the
    same salt."""
    run = scene.victim.forgery()
    first = run.header.blocks[0]
    weights = moved(scene)
    commitment = scene.commit(weights[: first.size], scene.victim.salts[0])
    run.commit_after(len(run.segments) - 1, "W", 0, commitment)
    run.publish(weights, scene.victim.salts)
    return scene.submit(run)


def moved(scene: Scene) -> IntArray:
    """The victim's last weights with one of them a unit larger."""
    weights = np.array(scene.victim.weights)
    weights[ELEMENT] += 1
    return weights


ATTEMPTS = (
    Attempt("in the published files", Step.MODEL, "don't open the final commitment", published),
    Attempt("in the records too", Step.PROOFS, "commits to another W after", recorded),
)


def run(scene: Scene) -> Outcome:
    """All attempts."""
    return outcome("one weight changed by one unit", GAIN, ATTEMPTS, scene)
