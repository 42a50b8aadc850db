"""Attack on native runs: claim the preset `strict` and prove with `standard`.

Gain: proofs that are smaller and assume more about the code's decoding than the log says. Whoever
asked for `strict` did so because they don't trust that assumption.

Why it fails: the verifier takes the preset from the circuit that the header names, and with it the
number of queries; the transcript begins with it (step 7).
"""

from dataclasses import replace

from attacks.tools import native_run
from attacks.tools.attempt import NATIVE, Attempt, Scene, Submission, outcome
from attacks.tools.outcome import Outcome
from attacks.tools.victim import SHAPE
from zk_autograd.prove.native.preset import Preset
from zk_autograd.verify.outcome import Step

GAIN = "proofs that rest on more than the log says"


def standard_for_strict(scene: Scene) -> Submission:
    """The header names the strict circuit, with its digest."""
    claimed = native_run.header(replace(SHAPE, preset=Preset.STRICT).prover)
    return scene.submit(native_run.prove(claimed, [native_run.first_state()], [native_run.gradient()]).forgery())


ATTEMPTS = (
    Attempt("standard for strict", Step.PROOFS, "proof 0-0: the proof does not verify", standard_for_strict, NATIVE),
)


def run(scene: Scene) -> Outcome:
    """All attempts."""
    return outcome("a weaker preset than the one claimed", GAIN, ATTEMPTS, scene)
