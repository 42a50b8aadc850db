"""An attacker's run with native proofs: each segment is one step, from a state that the attacker
chooses to where the rule leads.

The proofs are true of their own statements. These may differ from what the header says (another
shape, other constants), and a segment may begin where the previous one didn't end; `prove` puts
them together as an honest trainer would, and the attack edits the rest.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256

import numpy as np

from attacks.tools.forge import Forgery, of_one_block
from attacks.tools.victim import SHAPE, TRAINER, header_of
from zk_autograd.core.formats import WEIGHT_BITS, IntArray
from zk_autograd.core.hyper import Rule
from zk_autograd.core.record_bytes import to_bytes
from zk_autograd.core.records import Close, Genesis, Header, Prover, Segment, header_digest
from zk_autograd.core.rules import State, state_names
from zk_autograd.core.statement import Statement, StatementBuilder
from zk_autograd.prove.following import states_of
from zk_autograd.prove.native.backend import NativeBackend
from zk_autograd.prove.native.shape import Shape
from zk_autograd.prove.protocol import BlockProof, BlockWitness

MANIFEST = (("query.weight", (4, 4)),)
SIZE = 16

Proved = tuple[Statement, BlockWitness, BlockProof]


@dataclass(frozen=True, slots=True)
class NativeRun:
    """The header, and each segment as it was proved: its statement, its witness and its proof."""

    header: Header
    segments: tuple[Proved, ...]

    def forgery(self) -> Forgery:
        """The run, put together honestly: records say what the proofs say, and the salts of zeros
        are those of the first state."""
        records, proofs = [], {}
        for index, (_, _, proof) in enumerate(self.segments):
            state_in, state_out = of_one_block(proof.state_in), of_one_block(proof.state_out)
            hashes = (sha256(proof.proof).digest(),)
            records.append(
                Segment(index, index + 1, index + 1, state_in, state_out, (proof.gradient,), b"", _RATES, hashes)
            )
            proofs[index, 0] = proof.proof
        salts = self.segments[0][1].salts
        genesis = Genesis(records[0].state_in, {name: (salts[f"{name}_in"],) for name in self.header.states[1:]})
        close = Close(len(records), len(records), records[-1].state_out)
        run = Forgery(self.header, genesis, records, close, proofs, {}, TRAINER)
        witness = self.segments[-1][1]
        run.publish(witness.end["W"][:SIZE], (witness.salts["W_out"],))
        return run


def header(prover: Prover, rule: Rule = Rule.ADAM, **hyper: str) -> Header:
    """The header of a run over MANIFEST."""
    return header_of(prover, sha256(b"the attacker").digest()[:16], TRAINER, MANIFEST, rule, **hyper)


def statement_of(claimed: Header, index: int = 0) -> Statement:
    """What a segment of one step has to show in the run of this header."""
    builder = StatementBuilder(claimed, header_digest(to_bytes(claimed)))
    (statement,) = builder.of_segment(Segment(index, index + 1, index + 1, {}, {}, (), b"", _RATES, ()))
    return statement


def first_state() -> State:
    """Random weights, and zeros for the rest, each int64 (block,)."""
    state: State = {name: np.zeros(SHAPE.block, np.int64) for name in state_names(SHAPE.rule)}
    state["W"][:SIZE] = (np.random.default_rng(3).normal(0, 0.1, SIZE) * 2**WEIGHT_BITS).astype(np.int64)
    return state


def gradient() -> IntArray:
    """A gradient, int64 (block,)."""
    row = np.zeros(SHAPE.block, np.int64)
    row[:SIZE] = np.random.default_rng(4).integers(-(2**20), 2**20, SIZE)
    return row


def prove(
    claimed: Header,
    states: Sequence[State | None],
    gradients: Sequence[IntArray],
    *,
    shape: Shape = SHAPE,
    proving: Callable[[Statement], Statement] = lambda statement: statement,
) -> NativeRun:
    """A segment for each of `states`, where it begins; None: where the one before ended. `proving`
    makes of the statement that the header asks for the one that is proved, in `shape`."""
    backend = NativeBackend(shape)
    proved: list[Proved] = []
    for index, (start, row) in enumerate(zip(states, gradients, strict=True)):
        salts = {name: backend.draw_salt() for name in shape.commitment_names}
        if start is None:
            before = proved[-1][1]
            first = dict(before.end)
            salts.update({f"{name}_in": before.salts[f"{name}_out"] for name in claimed.states})
        else:
            first = start
        proved.append(prove_step(backend, claimed.rule, proving(statement_of(claimed, index)), first, row, salts))
    return NativeRun(claimed, tuple(proved))


def prove_step(
    backend: NativeBackend, rule: Rule, statement: Statement, first: State, row: IntArray, salts: dict[str, bytes]
) -> Proved:
    """One segment of one step and no-ops after it."""
    gradients = np.zeros((backend.prover.steps, backend.prover.block), np.int32)
    gradients[0] = row
    witness = BlockWitness(first, first, gradients, salts)
    *_, end = states_of(rule, statement.constants, witness)
    witness = replace(witness, end=end)
    return statement, witness, backend.prove(statement, witness)


_RATES = (("0.001",),)
