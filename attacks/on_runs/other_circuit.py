"""Attack: prove with a circuit of the same shape that checks something else, or nothing, and bring
it, or its verifying key, along.

Gain: any state after any state, in a second of proving. From outside the circuit is like the
published one: same states, same blocks and steps, same public values, all of them right
(attacks/hollow.py). A native circuit can't be brought along, but the module has several of one
shape: here AdamW's, whose weight decay halves every weight, in place of Adam's.

Why it fails: the circuit is the verifier's own, found by name and compared by digest (step 5), and
so is its verifying key, made from that circuit and an allowed SRS; no key is read from a run (step
7). The key that is brought along was made with an SRS of the attacker's, which is smaller and
quicker, so that its commitments to zero are not those of the auditor's SRS either (step 6): two
checks stand in its way. A native proof's transcript begins with rule, preset, sizes and constants,
which the verifier takes from the records (step 7).
"""

from dataclasses import replace

import numpy as np

from attacks.on_runs.weight_decay_claimed import decayed
from attacks.tools import native_run
from attacks.tools.attempt import EZKL, NATIVE, Attempt, Scene, Submission, outcome
from attacks.tools.hollow_run import SIZE, hollow_run
from attacks.tools.outcome import Outcome
from attacks.tools.victim import SHAPE
from zk_autograd.core.formats import WEIGHT_BITS, IntArray
from zk_autograd.core.hyper import Rule
from zk_autograd.core.records import Prover
from zk_autograd.verify.outcome import Step

GAIN = "any weights from any weights, with a valid proof of a circuit that looks the same"
OTHER_SHAPE = replace(SHAPE, rule=Rule.ADAMW)
BACKDOOR: IntArray = np.arange(SIZE, dtype=np.int64) * 2**WEIGHT_BITS


def circuit_brought_along(scene: Scene) -> Submission:
    """The header names the hollow circuit by its digest, and the published one's name."""
    hollow = scene.ezkl.hollow
    return scene.submit(hollow_run(scene, BACKDOOR, hollow.circuit.digest).forgery)


def key_brought_along(scene: Scene) -> Submission:
    """The header names the published circuit; the hollow one's verifying key lies wherever a
    verifier might look for it."""
    hollow = scene.ezkl.hollow
    own = scene.victim.forgery().header.prover.circuit_digest
    submission = scene.submit(hollow_run(scene, BACKDOOR, own).forgery)
    for folder in (".", "proofs", "log"):
        for name in ("vk.key", "settings.json", "srs"):
            (submission.path / folder / name).write_bytes((hollow.keys.folder / name).read_bytes())
    return submission


def another_native_circuit(scene: Scene) -> Submission:
    """The header names Adam's circuit, and the proof was made with AdamW's."""
    return _by_adamw(scene, SHAPE.prover)


def another_native_digest(scene: Scene) -> Submission:
    """The header names Adam's circuit and gives it the digest of AdamW's."""
    return _by_adamw(scene, replace(SHAPE.prover, circuit_digest=OTHER_SHAPE.digest))


def _by_adamw(scene: Scene, prover: Prover) -> Submission:
    claimed = native_run.header(prover)
    start, gradient = native_run.first_state(), native_run.gradient()
    return scene.submit(native_run.prove(claimed, [start], [gradient], shape=OTHER_SHAPE, proving=decayed).forgery())


ATTEMPTS = (
    Attempt(
        "the circuit brought along",
        Step.STATEMENT,
        "is not this verifier's own: its digest differs",
        circuit_brought_along,
        EZKL,
    ),
    Attempt("its verifying key brought along", Step.CHAIN, "is not zero at the start", key_brought_along, EZKL),
    Attempt("another rule's", Step.PROOFS, "proof 0-0: the proof does not verify", another_native_circuit, NATIVE),
    Attempt("another rule's digest", Step.STATEMENT, "its digest differs", another_native_digest, NATIVE),
)


def run(scene: Scene) -> Outcome:
    """All attempts."""
    return outcome("another circuit of the same shape", GAIN, ATTEMPTS, scene)
