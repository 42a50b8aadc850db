"""A run under the circuit that checks nothing: one step from zero weights to any others, with any
number of valid proofs."""

from dataclasses import dataclass
from hashlib import sha256

import numpy as np

from attacks.tools.attempt import Scene
from attacks.tools.forge import Forgery, of_one_block
from attacks.tools.hollow import HollowSystem
from attacks.tools.trapdoor_run import MANIFEST, SIZE
from attacks.tools.victim import CIRCUIT, TRAINER, header_of
from zk_autograd.core.formats import IntArray
from zk_autograd.core.record_bytes import to_bytes
from zk_autograd.core.records import Close, Genesis, Prover, Segment, header_digest
from zk_autograd.core.rules import State
from zk_autograd.core.statement import Statement, StatementBuilder
from zk_autograd.prove.ezkl.backend import draw_salt

__all__ = ["SIZE", "HollowRun", "hollow_run"]


@dataclass(frozen=True, slots=True)
class HollowRun:
    """The run, and what it takes to prove its step again. `system` is that of an auditor who takes
    the hollow circuit for their own."""

    scene: Scene
    forgery: Forgery
    statement: Statement
    before: State
    after: State
    salts: dict[str, bytes]

    @property
    def system(self) -> HollowSystem:
        hollow = self.scene.ezkl.hollow
        return HollowSystem(self.scene.ezkl.cache, hollow.circuit, hollow.verifier)

    def prove(self) -> bytes:
        """Another proof of the same statement, with the same commitments."""
        return self.scene.ezkl.hollow.prove(self.statement, self.before, self.after, {**self.salts, "aux": draw_salt()})


def hollow_run(scene: Scene, weights: IntArray, circuit_digest: bytes) -> HollowRun:
    """A run that leads to `weights`, int64 (16,), and whose header names the victim's circuit with
    this digest.

    Where the weights stay zero, they have the same salts before and after, and so the same
    commitments.
    """
    hollow = scene.ezkl.hollow
    own = scene.victim.forgery().header.prover
    prover = Prover(own.backend, own.version, own.block, own.steps, CIRCUIT, circuit_digest, own.srs_digest)
    header = header_of(prover, sha256(b"hollow").digest()[:16], TRAINER, MANIFEST)
    draft = Segment(0, 1, 1, {}, {}, (), b"", (("0.001",),), ())
    (statement,) = StatementBuilder(header, header_digest(to_bytes(header))).of_segment(draft)
    before: State = {name: np.zeros(own.block, np.int64) for name in header.states}
    after: State = {**before, "W": np.concatenate([weights, np.zeros(own.block - SIZE, np.int64)])}
    salts = {name: draw_salt() for name in hollow.circuit.layout.commitments}
    for name in header.states:
        if np.array_equal(before[name], after[name]):
            salts[f"{name}_out"] = salts[f"{name}_in"]
    proof = hollow.prove(statement, before, after, salts)
    shown = hollow.verifier.verify(statement, proof)
    state_in, state_out = of_one_block(shown.state_in), of_one_block(shown.state_out)
    genesis = Genesis(state_in, {name: (salts[f"{name}_in"],) for name in header.states[1:]})
    hashes = (sha256(proof).digest(),)
    segment = Segment(0, 1, 1, state_in, state_out, (shown.gradient,), b"", (("0.001",),), hashes)
    forgery = Forgery(header, genesis, [segment], Close(1, 1, state_out), {(0, 0): proof}, {}, TRAINER)
    forgery.publish(weights, (salts["W_out"],))
    return HollowRun(scene, forgery, statement, before, after, salts)
