"""What one proof shows: the public part, rebuilt by a verifier from the records alone.

The context ties a proof to its place. Without it anybody could carry a published run's proofs into a log of their own, or
use one at another step: it is a SHA-256 over the header's digest, the segment's index, its first step and the block's index.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from hashlib import sha256

from zk_autograd.core.constants import ConstantsSequence, StepConstants
from zk_autograd.core.decimals import parse_decimal
from zk_autograd.core.records import Header, Segment


@dataclass(frozen=True, slots=True)
class Statement:
    """A proof's place and constants: `constants` has one entry for each of the circuit's steps, no-ops at the end.

    `block_size` elements of the circuit's block belong to the model; the rest is padding.
    """

    header_digest: bytes
    segment: int
    first_step: int
    block: int
    block_size: int
    constants: tuple[StepConstants, ...]

    @property
    def context(self) -> bytes:
        """32 bytes that name the proof's place."""
        place = b"".join(n.to_bytes(8, "big") for n in (self.segment, self.first_step, self.block))
        return sha256(b"zk-autograd/context/v0\n" + self.header_digest + place).digest()

    @property
    def context_elements(self) -> tuple[int, int]:
        """The context as two integers below 2^128, the first half first, each big-endian."""
        return int.from_bytes(self.context[:16], "big"), int.from_bytes(self.context[16:], "big")


class StatementBuilder:
    """Statements of a run's segments. Asking for them in the order of the steps costs O(1) a step."""

    def __init__(self, header: Header, digest: bytes) -> None:
        """`digest` is `records.header_digest` of the header's leaf. VerificationError for unusable hyper-parameters."""
        self._header = header
        self._digest = digest
        self._sequences: list[ConstantsSequence] = [header.sequence(g) for g in range(len(header.groups))]

    def constants(self, group: int, first: int, last: int, lr: Sequence[Sequence[str]]) -> tuple[StepConstants, ...]:
        """The constants of steps `first` .. `last` of a group, filled up with no-ops to the prover's segment length.

        `lr` holds a decimal for each step and group if the rates are recorded, and is empty if the header declares a schedule.
        """
        sequence = self._sequences[group]
        rates: list[Fraction | None] = [parse_decimal(step[group], "lr") for step in lr] or [None] * (last - first + 1)
        steps = [sequence.at(first + i, rate) for i, rate in enumerate(rates)]
        steps += [sequence.no_op()] * (self._header.prover.steps - len(steps))
        return tuple(steps)

    def of_segment(self, segment: Segment) -> list[Statement]:
        """The statement of each block's proof of a segment."""
        # Each group once: asking for a group's steps again would begin at its first step, and take the square of their number.
        groups = {b.group for b in self._header.blocks}
        by_group = {g: self.constants(g, segment.first, segment.last, segment.lr) for g in groups}
        return [
            Statement(self._digest, segment.index, segment.first, i, b.size, by_group[b.group])
            for i, b in enumerate(self._header.blocks)
        ]
