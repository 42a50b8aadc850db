"""An attacker's run under an SRS whose secret they kept: one segment of one step, and a real proof
of the published circuit.

Its first moment begins at 2^30 in every element, against the rule, and its gradient is zero: the
step moves each weight by about 0.3, three hundred times the learning rate, in the direction that
M_0 has. The proof is true: it is about a state before and one after.
"""

from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path

import numpy as np

from attacks.tools.forge import Forgery, of_one_block
from attacks.tools.trapdoor import repaired, write_srs
from attacks.tools.victim import CIRCUIT, TRAINER, header_of
from zk_autograd.core.formats import WEIGHT_BITS, IntArray
from zk_autograd.core.record_bytes import to_bytes
from zk_autograd.core.records import Close, Genesis, Header, Segment, header_digest
from zk_autograd.core.rules import State
from zk_autograd.core.statement import StatementBuilder
from zk_autograd.prove.ezkl.backend import EzklBackend
from zk_autograd.prove.ezkl.circuit import catalogue
from zk_autograd.prove.ezkl.keys import Cache
from zk_autograd.prove.following import states_of
from zk_autograd.prove.protocol import BlockProof, BlockWitness

MANIFEST = (("query.weight", (4, 4)),)
SIZE = 16
FIRST_MOMENT = 2**30


@dataclass(frozen=True, slots=True)
class TrapdoorRun:
    """The run's parts. `witness` is of the padded block."""

    cache: Cache
    srs: bytes
    header: Header
    witness: BlockWitness
    proof: BlockProof

    @classmethod
    def build(cls, workshop: Path) -> "TrapdoorRun":
        """Makes SRS, keys (half a minute; both stay in the folder `workshop`) and the proof."""
        cache = Cache(workshop)
        made = workshop / "made.srs"
        if not made.exists():
            write_srs(made)
        srs = cache.add_srs(made)
        backend = EzklBackend(catalogue.load(CIRCUIT), srs, cache)
        header = header_of(backend.prover, sha256(b"the attacker").digest()[:16], TRAINER, MANIFEST)
        draft = Segment(0, 1, 1, {}, {}, (), b"", (("0.001",),), ())
        (statement,) = StatementBuilder(header, header_digest(to_bytes(header))).of_segment(draft)
        block, steps = header.prover.block, header.prover.steps
        rng = np.random.default_rng(3)
        state: State = {name: np.zeros(block, np.int64) for name in header.states}
        state["W"][:SIZE] = (rng.normal(0, 0.1, SIZE) * 2**WEIGHT_BITS).astype(np.int64)
        state["M"][:SIZE] = FIRST_MOMENT * rng.choice([-1, 1], SIZE)
        names = [f"{name}_{end}" for name in header.states for end in ("in", "out")]
        salts = {name: backend.draw_salt() for name in (*names, "G")}
        witness = BlockWitness(state, state, np.zeros((steps, block), np.int32), salts)
        *_, end = states_of(header.rule, statement.constants, witness)
        witness = replace(witness, end=end)
        return cls(cache, srs, header, witness, backend.prove(statement, witness))

    @property
    def weights(self) -> IntArray:
        """The weights after the step, int64 (16,)."""
        weights: IntArray = self.witness.end["W"][:SIZE]
        return weights

    def forgery(self) -> Forgery:
        """The run, put together honestly but for M_0: the salts that should show zeros are those of
        what was committed to."""
        state_in, state_out = of_one_block(self.proof.state_in), of_one_block(self.proof.state_out)
        salts = self.witness.salts
        genesis = Genesis(state_in, {name: (salts[f"{name}_in"],) for name in self.header.states[1:]})
        hashes = (sha256(self.proof.proof).digest(),)
        segment = Segment(0, 1, 1, state_in, state_out, (self.proof.gradient,), b"", (("0.001",),), hashes)
        close = Close(1, 1, state_out)
        run = Forgery(self.header, genesis, [segment], close, {(0, 0): self.proof.proof}, {}, TRAINER)
        run.publish(self.weights, (salts["W_out"],))
        return run

    def zero_salt(self, state: str) -> bytes:
        """A salt that gives zeros the first commitment of `state`, by the SRS's secret."""
        values = [int(v) for v in self.witness.start[state]]
        return repaired(values, self.witness.salts[f"{state}_in"], [0] * len(values))

    def weight_salt(self, weights: IntArray) -> bytes:
        """A salt that gives other weights, int64 (16,), the last commitment, by the SRS's
        secret."""
        values = [int(v) for v in self.witness.end["W"]]
        wanted = [int(v) for v in weights] + [0] * (len(values) - SIZE)
        return repaired(values, self.witness.salts["W_out"], wanted)
