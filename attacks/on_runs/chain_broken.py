"""Attack: begin a segment with another state than the one that the previous segment ended with.
Each proof is true by itself.

Gain: weights of the attacker's choice in the middle of a training, with every step proved.

Why it fails: the records' commitments before a segment must be those after the previous one (step
6), and those in front of a proof must be the record's (step 7). Two commitments to the same state
with different salts differ, too: only the trainer's own chain of salts fits.
"""

import numpy as np

from attacks.tools import native_run
from attacks.tools.attempt import NATIVE, Attempt, Scene, Submission, outcome
from attacks.tools.forge import Forgery
from attacks.tools.native_run import NativeRun
from attacks.tools.outcome import Outcome
from attacks.tools.victim import SHAPE
from zk_autograd.core.formats import WEIGHT_BITS
from zk_autograd.verify.outcome import Step

GAIN = "weights exchanged in the middle of a training, with every step proved"


def told(scene: Scene) -> Submission:
    """The records say what the proofs say."""
    return scene.submit(_exchanged().forgery())


def denied(scene: Scene) -> Submission:
    """The second record says that the segment began where the first one ended."""
    return scene.submit(_denied(_exchanged()))


def salted_anew(scene: Scene) -> Submission:
    """The second segment begins with the very state that the first one ended with, committed to
    with other salts."""
    claimed, gradient = native_run.header(SHAPE.prover), native_run.gradient()
    whole = native_run.prove(claimed, [native_run.first_state(), None], [gradient, gradient])
    second = dict(whole.segments[1][1].start)
    cut = native_run.prove(claimed, [native_run.first_state(), second], [gradient, gradient])
    return scene.submit(cut.forgery())


def _exchanged() -> NativeRun:
    backdoor = native_run.first_state()
    backdoor["W"][: native_run.SIZE] = np.arange(native_run.SIZE) * 2**WEIGHT_BITS
    gradient = native_run.gradient()
    return native_run.prove(native_run.header(SHAPE.prover), [native_run.first_state(), backdoor], [gradient, gradient])


def _denied(run: NativeRun) -> Forgery:
    forgery = run.forgery()
    forgery.edit(1, state_in=forgery.segments[0].state_out)
    return forgery


_STATE_IN = "the state-in of segment 1 is not"

ATTEMPTS = (
    Attempt("told by the records", Step.CHAIN, _STATE_IN, told, NATIVE),
    Attempt("denied by the records", Step.PROOFS, "commits to another W before", denied, NATIVE),
    Attempt("salted afresh", Step.CHAIN, _STATE_IN, salted_anew, NATIVE),
)


def run(scene: Scene) -> Outcome:
    """All attempts."""
    return outcome("a segment that begins elsewhere", GAIN, ATTEMPTS, scene)
