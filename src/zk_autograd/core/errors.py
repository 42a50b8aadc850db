"""The errors of the package: one tree, so that a caller catches one class and a third party's
exception never leaks.

Every message says what was wrong, where, and what to do. `exit_status` is what a command returns
for it. What is false and what could not be read never have the same status: a failing disk is not
evidence against a run.
"""

from dataclasses import dataclass
from enum import IntEnum
from typing import ClassVar


class ExitStatus(IntEnum):
    """What a command returns: the same table for all of them (docs/exit-statuses.md)."""

    DONE = 0
    """Everything that was asked for was shown, or done."""
    REFUSED = 1
    """Something is false, malformed or missing, or was refused."""
    USAGE = 2
    """Wrong flags, or the path is not a run: nothing was done."""
    LESS = 3
    """Nothing false was found, but less was shown than was asked for."""
    UNJUDGED = 4
    """It could not be judged or done here: output, memory, disk, permission, network."""
    INTERNAL = 70
    """A bug in this package."""
    INTERRUPTED = 130
    """Interrupted, and resumable."""


class ZkError(Exception):
    """Base of every error that leaves this package."""

    exit_status: ClassVar[ExitStatus] = ExitStatus.REFUSED


class UsageError(ZkError):
    """An argument, flag, file or combination that can't be what the caller wants. Nothing was
    done."""

    exit_status: ClassVar[ExitStatus] = ExitStatus.USAGE


class GradientError(ZkError):
    """A gradient with no exact step: missing, sparse, of the wrong dtype, NaN or infinite."""


class RunError(ZkError):
    """The run directory can't be used as asked: it exists, is of another version, or is locked."""


class StorageError(RunError):
    """The system refuses to read or write a run's files: no space, no permission, a failing disk.
    The run itself may be intact."""

    exit_status: ClassVar[ExitStatus] = ExitStatus.UNJUDGED


class PlaceTakenError(RunError):
    """Something already exists where the run was to be created."""


class ProverError(ZkError):
    """A proof could not be made: the witness breaks the rule, a key is missing, the prover died or
    ran out of time."""


class AnchorError(ZkError):
    """A checkpoint could not be anchored, and trying again won't help: the anchor refuses it, or
    can't be relied upon."""


class AnchorDown(AnchorError):
    """An anchor can't be reached, is overloaded or gave half an answer: worth trying again."""

    exit_status: ClassVar[ExitStatus] = ExitStatus.UNJUDGED


class AnchorBehind(AnchorError):
    """The anchor holds a larger tree of the same register: publish a newer checkpoint."""


class AnchorForked(AnchorError):
    """The anchor holds another branch of the register, or refuses to see that ours continues its
    own: this register was rolled back, restarted or copied. `note` is the checkpoint that it holds,
    if it gave one that the register's key signed."""

    def __init__(self, message: str, note: bytes = b"") -> None:
        super().__init__(message)
        self.note = note


@dataclass(slots=True)
class RangeError(ZkError):
    """An element left its range. Nothing of the step was recorded.

    `what` names the quantity ("weight", "update", "first moment" ...), `tensor` and `index` (flat,
    within the tensor) the place, `value` the integer found, `bound` the exclusive bound on its
    absolute value, `advice` what to change.
    """

    what: str
    tensor: str
    index: int
    value: int
    bound: int
    advice: str

    def __str__(self) -> str:
        return (
            f"{self.what} of {self.tensor}[{self.index}] is {self.value}, and its absolute value must stay below "
            f"{self.bound}; {self.advice}"
        )


class VerificationError(ZkError):
    """Evidence is false, malformed or missing.

    `step` is the number of the verification step (docs/verification.md), or 0 for the verifier to
    fill in; `record` the index of the record it concerns, or None; `expected` and `found` are short
    texts.
    """

    def __init__(
        self,
        message: str,
        *,
        step: int = 0,
        record: int | None = None,
        expected: str | None = None,
        found: str | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.step = step
        self.record = record
        self.expected = expected
        self.found = found

    def at(self, step: int, record: int | None = None) -> "VerificationError":
        """The same failure, with its place filled in where it has none."""
        return type(self)(
            self.message,
            step=self.step or step,
            record=self.record if self.record is not None else record,
            expected=self.expected,
            found=self.found,
        )

    def __str__(self) -> str:
        place = f"step {self.step}" if self.step else ""
        if self.record is not None:
            place += f"{', ' if place else ''}record {self.record}"
        text = f"{place}: {self.message}" if place else self.message
        if self.expected is not None or self.found is not None:
            text += f" (expected {self.expected}, found {self.found})"
        return text


class AttestationError(VerificationError):
    """An attestation is malformed, wrongly signed, or about something else."""


class AttestationShort(AttestationError):
    """An attestation is genuine, as far as it was looked at, but not what was asked for: another
    measurement, a debug bit, an old version, an emulated device, a certificate that has ended."""

    exit_status: ClassVar[ExitStatus] = ExitStatus.LESS


class UnreadableError(VerificationError):
    """Evidence could not be read on this machine, for want of permission, memory, a working disk or
    a server that gives it: this says nothing against it."""

    exit_status: ClassVar[ExitStatus] = ExitStatus.UNJUDGED
