"""Attack: prove with a circuit of the same shape that checks nothing, and bring it, or its verifying key, along.

Gain: any state after any state, in a second of proving. From outside the circuit is like the published one: same states, same blocks and
steps, same public values, all of them right (attacks/hollow.py).

Why it fails: the circuit is the verifier's own, found by name and compared by digest (step 5), and so is its verifying key, made from that
circuit and an allowed SRS; no key is read from a run (step 7). The key that is brought along was made with an SRS of the attacker's, which
is smaller and quicker, so that its commitments to zero are not those of the auditor's SRS either (step 6): two checks stand in its way.
"""

from dataclasses import replace
from hashlib import sha256

import numpy as np

from attacks.attempt import Attempt, Scene, Submission, outcome
from attacks.forge import Forgery, of_one_block
from attacks.hollow import HollowProver
from attacks.outcome import Outcome
from attacks.trapdoor_run import MANIFEST
from attacks.victim import CIRCUIT, TRAINER, header_of
from zk_autograd.core.formats import WEIGHT_BITS, IntArray
from zk_autograd.core.records import Close, Genesis, Prover, Segment, header_digest, to_bytes
from zk_autograd.core.statement import StatementBuilder
from zk_autograd.prove.ezkl.backend import draw_salt
from zk_autograd.verify.report import Step

GAIN = "any weights from any weights, with a valid proof of a circuit that looks the same"
BACKDOOR: IntArray = np.arange(16, dtype=np.int64) * 2**WEIGHT_BITS


def circuit_brought_along(scene: Scene) -> Submission:
    """The header names the hollow circuit by its digest, and the published one's name."""
    hollow = scene.hollow
    return scene.submit(_run(scene, hollow, hollow.circuit.digest))


def key_brought_along(scene: Scene) -> Submission:
    """The header names the published circuit; the hollow one's verifying key lies wherever a verifier might look for it."""
    hollow = scene.hollow
    run = _run(scene, hollow, scene.victim.forgery().header.prover.circuit_digest)
    submission = scene.submit(run)
    for folder in (".", "proofs", "log"):
        for name in ("vk.key", "settings.json", "srs"):
            (submission.path / folder / name).write_bytes((hollow.keys.folder / name).read_bytes())
    return submission


def _run(scene: Scene, hollow: HollowProver, digest: bytes) -> Forgery:
    """One step from zero weights to the backdoor."""
    own = scene.victim.forgery().header.prover
    prover = Prover(own.backend, own.version, own.block, own.steps, CIRCUIT, digest, own.srs_digest)
    header = header_of(prover, sha256(b"hollow").digest()[:16], TRAINER, MANIFEST)
    segment = Segment(0, 1, 1, {}, {}, (), b"", (("0.001",),), ())
    (statement,) = StatementBuilder(header, header_digest(to_bytes(header))).of_segment(segment)
    before = {name: np.zeros(own.block, np.int64) for name in header.states}
    after = {**before, "W": np.concatenate([BACKDOOR, np.zeros(own.block - len(BACKDOOR), np.int64)])}
    salts = {name: draw_salt() for name in hollow.circuit.layout.commitments}
    proof = hollow.prove(statement, before, after, salts)
    shown = hollow.verifier.verify(statement, proof)
    state_in, state_out = of_one_block(shown.state_in), of_one_block(shown.state_out)
    genesis = Genesis(state_in, {name: (salts[f"{name}_in"],) for name in header.states[1:]})
    segment = replace(
        segment,
        state_in=state_in,
        state_out=state_out,
        gradients=(shown.gradient,),
        proofs=(sha256(proof).digest(),),
    )
    run = Forgery(header, genesis, [segment], Close(1, 1, state_out), {(0, 0): proof}, {}, TRAINER)
    run.publish(BACKDOOR, (salts["W_out"],))
    return run


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
