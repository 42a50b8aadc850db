"""Opened segments held against a run's log: the state before, the gradients and, by the run's rule,
the state after are what the segment's record commits to.

Whoever opens a segment chooses what they hand over, so all of it is compared with a commitment
before anything is made of it. The steps are taken by core.rules, with the constants that the header
gives, or the recorded rates.
"""

from collections.abc import Generator, Iterator, Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from zk_autograd.core.errors import RangeError, VerificationError
from zk_autograd.core.formats import IntArray
from zk_autograd.core.records import Header, Log, Segment, StateCommitments
from zk_autograd.core.rules import State, step
from zk_autograd.core.statement import StatementBuilder
from zk_autograd.evidence.openings import OpenedSegment, SaltsByState
from zk_autograd.verify.proof_system import ProofChecker
from zk_autograd.verify.statement import SEGMENT_RECORD

_SHOWN = 32
"""Hexadecimal digits of a commitment in a message."""


class OpenedStep(NamedTuple):
    """A step: W before it, int64 (size,), and its gradients, int32 (size,)."""

    number: int
    weights: IntArray
    gradients: NDArray[np.int32]


class OpenedSteps:
    """Holds opened segments of one run against its log. Ask in the segments' order."""

    def __init__(self, log: Log, checker: ProofChecker) -> None:
        """`checker` makes the commitments of the run's backend."""
        self._log, self._checker = log, checker
        self._statements = StatementBuilder(log.header, log.header_digest)
        self._groups = _ranges(log.header)

    def of(self, opened: OpenedSegment) -> Iterator[OpenedStep]:
        """The segment's steps, taken one by one with the opened gradients.

        VerificationError, with the segment's record: before the first step, if the state before or
        the gradients are not what the record commits to; after the last one, if the state that they
        lead to isn't.
        """
        record, secrets = self._log.segments[opened.secrets.index], opened.secrets
        try:
            self._require_state(record, opened.state, secrets.state_in, record.state_in, "before")
            self._require_gradients(record, opened)
            state = yield from self._taken(record, opened)
            self._require_state(record, state, secrets.state_out, record.state_out, "after")
        except VerificationError as error:
            raise error.at(0, SEGMENT_RECORD + record.index) from error

    def _taken(self, record: Segment, opened: OpenedSegment) -> Generator[OpenedStep, None, State]:
        """Gives the state after the last step."""
        header = self._log.header
        constants = {g: self._statements.constants(g, record.first, record.last, record.lr) for g in self._groups}
        state: State = dict(opened.state)
        for i, row in enumerate(opened.gradients):
            yield OpenedStep(record.first + i, state["W"], row)
            G = row.astype(np.int64)
            after = {name: np.empty_like(values) for name, values in state.items()}
            for group, own in self._groups.items():
                before = {name: values[own] for name, values in state.items()}
                try:
                    found = step(header.rule, before, G[own], constants[group][i])
                except RangeError as error:
                    raise VerificationError(
                        f"no step {record.first + i} follows from what was opened: {error}"
                    ) from error
                for name, values in found.items():
                    after[name][own] = values
            state = after
        return state

    def _require_state(
        self, record: Segment, state: Mapping[str, IntArray], salts: SaltsByState, wanted: StateCommitments, which: str
    ) -> None:
        header = self._log.header
        places = [(name, block) for name in header.states for block in range(len(header.blocks))]
        messages = ((header.padded(state[name], block), salts[name][block]) for name, block in places)
        for (name, block), found in zip(places, self._checker.commitments(messages), strict=True):
            if found != wanted[name][block]:
                what = (
                    f"the {name} of block {block} that was opened is not the one before segment {record.index}"
                    if which == "before"
                    else f"the opened steps of segment {record.index} don't lead to the {name} of block {block} after it"
                )
                raise VerificationError(what, expected=wanted[name][block].hex()[:_SHOWN], found=found.hex()[:_SHOWN])

    def _require_gradients(self, record: Segment, opened: OpenedSegment) -> None:
        header, capacity = self._log.header, self._log.header.prover
        for block, (own, salt) in enumerate(zip(header.blocks, opened.secrets.gradients, strict=True)):
            # Missing steps and elements are committed to as zeros.
            rows = np.zeros((capacity.steps, capacity.block), np.int32)
            part = opened.gradients[:, own.offset : own.offset + own.size]
            rows[: len(part), : own.size] = part
            found = self._checker.commit_gradients(rows, salt)
            if found != record.gradients[block]:
                raise VerificationError(
                    f"the gradients of block {block} that were opened are not those of segment {record.index}",
                    expected=record.gradients[block].hex()[:_SHOWN],
                    found=found.hex()[:_SHOWN],
                )


def _ranges(header: Header) -> dict[int, slice]:
    """The elements of each group that has some: groups follow one another in the flat vector."""
    found: dict[int, slice] = {}
    for block in header.blocks:
        first = found[block.group].start if block.group in found else block.offset
        found[block.group] = slice(first, block.offset + block.size)
    return found
