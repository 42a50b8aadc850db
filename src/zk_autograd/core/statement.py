"""What one proof shows: the public part, rebuilt by a verifier from the records alone.

The context ties a proof to its place. Without it anybody could reuse a published run's proofs in a
log of their own, or at another step. It is a SHA-256 over the header's digest, the segment's index,
its first step and the block's index.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from hashlib import sha256

from zk_autograd.core.constants import ConstantsSequence, StepConstants
from zk_autograd.core.decimals import parse_decimal
from zk_autograd.core.records import Group, Header, Segment
from zk_autograd.core.schedules import scaled


@dataclass(frozen=True, slots=True)
class Statement:
    """A proof's place and constants: `constants` has one entry for each of the circuit's steps,
    no-ops at the end.

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
        """32 bytes that identify the proof's place."""
        place = b"".join(n.to_bytes(8, "big") for n in (self.segment, self.first_step, self.block))
        return sha256(b"zk-autograd/context/v0\n" + self.header_digest + place).digest()

    @property
    def context_elements(self) -> tuple[int, int]:
        """The context as two integers below 2^128, the first half first, each big-endian."""
        return int.from_bytes(self.context[:16], "big"), int.from_bytes(self.context[16:], "big")


class StatementBuilder:
    """Statements of a run's segments. Asking for them in the order of the steps costs O(1) a step.

    A header may have a thousand groups, all alike if a stranger wrote it: groups with the same
    hyper-parameters, and the same rates where those are recorded, are computed once, and a declared
    schedule once for all of them. The last segment asked for is cached."""

    def __init__(self, header: Header, digest: bytes) -> None:
        """`digest` is that of the header's leaf. VerificationError for unusable
        hyper-parameters."""
        self._header = header
        self._digest = digest
        self._sequences: list[ConstantsSequence] = [header.sequence(g) for g in range(len(header.groups))]
        self._schedule = header.declared
        first: dict[Group, int] = {}
        self._alike = [first.setdefault(group, g) for g, group in enumerate(header.groups)]
        self._used = sorted({block.group for block in header.blocks})
        self._kinds = self._different(())
        self._place = (0, 0)
        self._shares: list[Fraction] = []
        self._made: dict[tuple[int, tuple[str, ...]], tuple[StepConstants, ...]] = {}

    def constants(self, group: int, first: int, last: int, lr: Sequence[Sequence[str]]) -> tuple[StepConstants, ...]:
        """The constants of steps `first` .. `last` of a group, padded with no-ops to the prover's
        segment length.

        `lr` holds a decimal for each step and group if the rates are recorded, and is empty if the
        header declares a schedule.
        """
        if self._place != (first, last):
            self._place, self._made = (first, last), {}
            self._shares = [self._schedule.share(t) for t in range(first, last + 1)] if self._schedule else []
        key = self._key(group, lr)
        if key not in self._made:
            if lr or self._schedule is None:
                rates = [parse_decimal(text, "lr") for text in key[1]]
            else:
                rate = self._sequences[group].hyper.lr
                rates = [scaled(rate, share) for share in self._shares]
            self._made[key] = self._filled(group, first, rates)
        return self._made[key]

    def different(self, lr: Sequence[Sequence[str]]) -> list[int]:
        """The first group of each kind: groups with the same hyper-parameters and the same recorded
        rates have the same constants."""
        return self._different(lr) if lr else self._kinds

    def _different(self, lr: Sequence[Sequence[str]]) -> list[int]:
        found: dict[tuple[int, tuple[str, ...]], int] = {}
        for group in self._used:
            found.setdefault(self._key(group, lr), group)
        return list(found.values())

    def _key(self, group: int, lr: Sequence[Sequence[str]]) -> tuple[int, tuple[str, ...]]:
        return self._alike[group], tuple([step[group] for step in lr]) if lr else ()

    def _filled(self, group: int, first: int, rates: Sequence[Fraction]) -> tuple[StepConstants, ...]:
        sequence = self._sequences[group]
        steps = [sequence.at(first + i, rate) for i, rate in enumerate(rates)]
        steps += [sequence.no_op()] * (self._header.prover.steps - len(steps))
        return tuple(steps)

    def of_segment(self, segment: Segment) -> list[Statement]:
        """The statement of each block's proof of a segment."""
        # Each group once: asking for a group's steps a second time would restart at its first step,
        # at quadratic cost.
        by_group = {g: self.constants(g, segment.first, segment.last, segment.lr) for g in self._used}
        return [
            Statement(self._digest, segment.index, segment.first, i, b.size, by_group[b.group])
            for i, b in enumerate(self._header.blocks)
        ]
