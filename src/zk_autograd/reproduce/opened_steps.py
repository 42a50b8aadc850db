"""The steps of an opened segment, once all that was opened of it is what its record commits to."""

from collections.abc import Iterator, Mapping
from typing import NamedTuple, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from zk_autograd.core.errors import RangeError, VerificationError
from zk_autograd.core.formats import IntArray
from zk_autograd.core.records import Log, Segment, StateCommitments
from zk_autograd.core.statement import StatementBuilder
from zk_autograd.evidence.openings import OpenedSegment, SaltsByState
from zk_autograd.kernels.protocol import Stepper
from zk_autograd.kernels.reference import REFERENCE
from zk_autograd.verify.proof_system import ProofChecker


class OpenedStep(NamedTuple):
    """A step: W before it, int64 (size,), and its gradients, int32 (size,)."""

    number: int
    weights: IntArray
    gradients: NDArray[np.int32]


@runtime_checkable
class _CommitsToGradients(Protocol):
    def commit_gradients(self, gradients: NDArray[np.int32], salt: bytes) -> bytes: ...


class OpenedSteps:
    """Holds opened segments of one run against its log. Ask in the segments' order."""

    def __init__(self, log: Log, checker: ProofChecker) -> None:
        """`checker` makes the commitments of the run's backend."""
        self._log, self._checker = log, checker
        self._statements = StatementBuilder(log.header, log.header_digest)

    def of(self, opened: OpenedSegment) -> Iterator[OpenedStep]:
        """The segment's steps, taken with the opened gradients. VerificationError, before the first
        one, if the state before, the gradients or the state that they lead to isn't what the record
        commits to."""
        record, secrets = self._log.segments[opened.secrets.index], opened.secrets
        self._require_state(record, opened.state, secrets.state_in, record.state_in, "before it")
        self._require_gradients(record, opened)
        stepper = self._stepper(opened)
        for _ in self._taken(record, stepper, opened):
            pass
        self._require_state(record, stepper.state, secrets.state_out, record.state_out, "that its steps lead to")
        # Once more, rather than to hold the weights before each step.
        return self._taken(record, self._stepper(opened), opened)

    def _stepper(self, opened: OpenedSegment) -> Stepper:
        header = self._log.header
        return REFERENCE.stepper(header.rule, header.parameters, dict(opened.state))

    def _taken(self, record: Segment, stepper: Stepper, opened: OpenedSegment) -> Iterator[OpenedStep]:
        groups = range(len(self._log.header.groups))
        constants = [self._statements.constants(g, record.first, record.last, record.lr) for g in groups]
        for i, row in enumerate(opened.gradients):
            yield OpenedStep(record.first + i, stepper.weights, row)
            try:
                stepper.step(row, [own[i] for own in constants])
            except RangeError as error:
                raise VerificationError(
                    f"segment {record.index}: no step follows from what was opened: {error}"
                ) from error

    def _require_state(
        self, record: Segment, state: Mapping[str, IntArray], salts: SaltsByState, wanted: StateCommitments, which: str
    ) -> None:
        header = self._log.header
        messages = (
            (header.padded(state[name], block), salt)
            for name in header.states
            for block, salt in enumerate(salts[name])
        )
        expected = [commitment for name in header.states for commitment in wanted[name]]
        for found, commitment in zip(self._checker.commitments(messages), expected, strict=True):
            if found != commitment:
                raise _other(record, f"the state {which} is", commitment, found)

    def _require_gradients(self, record: Segment, opened: OpenedSegment) -> None:
        header, capacity = self._log.header, self._log.header.prover
        for block, (own, salt) in enumerate(zip(header.blocks, opened.secrets.gradients, strict=True)):
            rows = np.zeros((capacity.steps, capacity.block), np.int32)
            part = opened.gradients[:, own.offset : own.offset + own.size]
            rows[: len(part), : own.size] = part
            found = _committed(self._checker, rows, salt)
            if found != record.gradients[block]:
                raise _other(record, "its gradients are", record.gradients[block], found)


def _committed(checker: ProofChecker, rows: NDArray[np.int32], salt: bytes) -> bytes:
    """The commitment to a block's gradients, int32 (steps, block) with the padding."""
    if isinstance(checker, _CommitsToGradients):
        return checker.commit_gradients(rows, salt)
    return next(iter(checker.commitments([(rows.astype(np.int64).reshape(-1), salt)])))


def _other(record: Segment, what: str, expected: bytes, found: bytes) -> VerificationError:
    return VerificationError(
        f"segment {record.index}: {what} not what its record commits to",
        expected=expected.hex()[:32],
        found=found.hex()[:32],
    )
