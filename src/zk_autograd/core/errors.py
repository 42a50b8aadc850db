"""The errors of the package: one tree, so that a caller catches one class and a third party's exception never leaks.

Every message says what was wrong, where, and what to do. `exit_status` is what a command returns for it
(0 done, 1 refused or failed, 2 wrong usage; 130 is an interrupt and has no class here).
"""

from dataclasses import dataclass
from typing import ClassVar


class ZkError(Exception):
    """Base of every error that leaves this package."""

    exit_status: ClassVar[int] = 1


class UsageError(ZkError):
    """An argument, flag, file or combination of them that can't be what the caller wants. Nothing was done."""

    exit_status: ClassVar[int] = 2


class GradientError(ZkError):
    """A gradient that no exact step can be computed from: missing, sparse, of another dtype, NaN or infinite."""


class RunError(ZkError):
    """The run directory can't be used as asked: it exists, is of another version, is locked, or a write failed."""


class ProverError(ZkError):
    """A proof could not be made: the witness breaks the rule, a key is missing, the prover died or ran out of time."""


@dataclass(slots=True)
class RangeError(ZkError):
    """An element left its range. Nothing of the step was recorded.

    `what` names the quantity ("weight", "update", "first moment" ...), `tensor` and `index` (flat, within the tensor) the
    place, `value` the integer found, `bound` the exclusive bound on its absolute value, `advice` what to change.
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
    """Evidence is false, malformed or unreadable.

    `step` is the number of the verification step (docs/verification.md), 0 where the raiser doesn't know it and the
    verifier fills it in; `record` the index of the record it concerns, or None; `expected` and `found` are short texts.
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
        """The same failure with its place filled in where it has none yet."""
        return VerificationError(
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
