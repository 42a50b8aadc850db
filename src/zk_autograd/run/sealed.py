"""Sealed segments as their proofs need them: statements and witnesses, read from the journal.

A statement says nothing of the states' commitments, so a segment's proofs can be made before the
one before it is recorded. Segments are asked for in their order, each once (StatementBuilder).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256

import numpy as np

from zk_autograd.core.errors import RunError
from zk_autograd.core.records import Header, Parameter, Segment
from zk_autograd.core.rules import State
from zk_autograd.core.statement import Statement, StatementBuilder
from zk_autograd.kernels.protocol import Kernel
from zk_autograd.kernels.reference import REFERENCE
from zk_autograd.prove.following import another_end
from zk_autograd.prove.protocol import BlockWitness
from zk_autograd.run.journal import Journal, Salts, Start
from zk_autograd.run.private_file import damaged


@dataclass(frozen=True, slots=True, eq=False)
class SealedSegment:
    """A sealed segment: what its record says but for commitments and proofs, the statement of each
    block's proof, and what the witnesses are made of."""

    draft: Segment
    statements: list[Statement]
    start: Start
    end: Start


class SealedSegments:
    """Those that are not settled yet, of a run with this header."""

    def __init__(self, header: Header, digest: bytes, journal: Journal, kernel: Kernel = REFERENCE) -> None:
        """`digest` is that of the header's leaf; `kernel` takes steps once more."""
        self._header = header
        self._journal = journal
        # On the CPU: the training has the other devices.
        self._kernel = REFERENCE if kernel.takes_tensors else kernel
        self._statements = StatementBuilder(header, digest)
        self._read: dict[int, SealedSegment] = {}

    def segment(self, index: int) -> SealedSegment:
        """The segment of this index. RunError if the journal is damaged."""
        if index not in self._read:
            self._read[index] = self._from_journal(index)
        return self._read[index]

    def forget(self, index: int) -> None:
        """This segment is settled."""
        self._read.pop(index, None)

    def witness(self, index: int, block: int, *, follow: bool) -> BlockWitness:
        """The witness of a block's proof. `follow`: its steps are taken once more, and RunError is
        raised if they don't lead to the state that the next segment begins with."""
        found, header, capacity = self.segment(index), self._header, self._header.prover
        before, after = (
            {name: header.padded(at.state[name], block) for name in header.states} for at in (found.start, found.end)
        )
        own, first, last = header.blocks[block], found.draft.first, found.draft.last
        gradients = np.zeros((capacity.steps, capacity.block), np.int32)
        gradients[: last - first + 1, : own.size] = self._journal.block(index, own.offset, own.size, first, last)
        witness = BlockWitness(before, after, gradients, _block_salts(found.start.salts, block))
        if (
            follow
            and another_end(witness, self._followed(witness, found.statements[block], last - first + 1)) is not None
        ):
            raise RunError(
                f"the steps in {self._journal.path(index)} don't lead to the state that the next segment begins "
                "with: one of the two was altered; restore both from a copy"
            )
        return witness

    def _followed(self, witness: BlockWitness, statement: Statement, steps: int) -> State:
        size = self._header.prover.block
        parameters = (Parameter("block", (size,), 0, size, 0),)
        stepper = self._kernel.stepper(self._header.rule, parameters, dict(witness.start))
        for gradients, constants in zip(witness.gradients[:steps], statement.constants, strict=False):
            stepper.step(gradients, (constants,))
        return stepper.state

    def _from_journal(self, index: int) -> SealedSegment:
        start, end = self._journal.start(index), self._journal.start(index + 1)
        steps = self._journal.told(index)
        if len(steps) != end.first - start.first:
            raise damaged(
                self._journal.path(index), f"it doesn't end with step {end.first - 1}, after which the next one begins"
            )
        draft = Segment(
            index=index,
            first=start.first,
            last=end.first - 1,
            state_in={},
            state_out={},
            gradients=(),
            batches=batch_commitment(start.salts.batches, [step.batch for step in steps]),
            lr=tuple(step.lr for step in steps if step.lr),
            proofs=(),
            loss=tuple(step.loss for step in steps),
            saturated=tuple(step.saturated for step in steps),
        )
        return SealedSegment(draft, self._statements.of_segment(draft), start, end)


def batch_commitment(salt: bytes, batches: list[bytes]) -> bytes:
    """A salted commitment to the batches' digests (32 bytes, or none) of a segment's steps; b"" if
    no step has one."""
    if not any(batches):
        return b""
    content = b"".join(len(digest).to_bytes(1, "big") + digest for digest in batches)
    return sha256(b"zk-autograd/batches/v0\n" + len(salt).to_bytes(8, "big") + salt + content).digest()


def _block_salts(salts: Salts, block: int) -> Mapping[str, bytes]:
    ends = {"in": salts.state_in, "out": salts.state_out}
    named = {f"{name}_{end}": blocks[block] for end, states in ends.items() for name, blocks in states.items()}
    return named | {"G": salts.gradients[block]}
