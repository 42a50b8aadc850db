"""Attack: prove with a circuit of the same shape that checks nothing, and bring it, or its verifying key, along.

Gain: any state after any state, in a second of proving. From outside the circuit is like the published one: same states, same blocks and
steps, same public values, all of them right (attacks/hollow.py).

Why it fails: the circuit is the verifier's own, found by name and compared by digest (step 5), and so is its verifying key, made from that
circuit and an allowed SRS; no key is read from a run (step 7). The key that is brought along was made with an SRS of the attacker's, which
is smaller and quicker, so that its commitments to zero are not those of the auditor's SRS either (step 6): two checks stand in its way.
"""

import numpy as np

from attacks.attempt import Attempt, Scene, Submission, outcome
from attacks.hollow_run import SIZE, hollow_run
from attacks.outcome import Outcome
from zk_autograd.core.formats import WEIGHT_BITS, IntArray
from zk_autograd.verify.report import Step

GAIN = "any weights from any weights, with a valid proof of a circuit that looks the same"
BACKDOOR: IntArray = np.arange(SIZE, dtype=np.int64) * 2**WEIGHT_BITS


def circuit_brought_along(scene: Scene) -> Submission:
    """The header names the hollow circuit by its digest, and the published one's name."""
    hollow = scene.hollow
    return scene.submit(hollow_run(scene, BACKDOOR, hollow.circuit.digest).forgery)


def key_brought_along(scene: Scene) -> Submission:
    """The header names the published circuit; the hollow one's verifying key lies wherever a verifier might look for it."""
    hollow = scene.hollow
    own = scene.victim.forgery().header.prover.circuit_digest
    submission = scene.submit(hollow_run(scene, BACKDOOR, own).forgery)
    for folder in (".", "proofs", "log"):
        for name in ("vk.key", "settings.json", "srs"):
            (submission.path / folder / name).write_bytes((hollow.keys.folder / name).read_bytes())
    return submission


ATTEMPTS = (
    Attempt(
        "the circuit brought along",
        Step.STATEMENT,
        "is not this verifier's own: its digest differs",
        circuit_brought_along,
    ),
    Attempt("its verifying key brought along", Step.CHAIN, "is not zero at the start", key_brought_along),
)


def run(scene: Scene) -> Outcome:
    """All attempts."""
    return outcome("another circuit of the same shape", GAIN, ATTEMPTS, scene)
