"""One exact step over the flat vector of all parameters, for the optimizer and for recovery."""

from collections.abc import Sequence
from fractions import Fraction
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from zk_autograd.core.constants import ConstantsSequence, StepConstants
from zk_autograd.core.decimals import parse_decimal
from zk_autograd.core.errors import RangeError, UsageError, VerificationError
from zk_autograd.core.formats import IntArray, TensorSpan, locate
from zk_autograd.core.records import Header
from zk_autograd.core.rules import State, initial_state
from zk_autograd.kernels.protocol import Model, Stepper

Gradients: TypeAlias = NDArray[np.signedinteger[Any]] | Model
"""What a step is taken from: integers, int32 or int64 (elements,), or a model with its floats."""


def take(header: Header, stepper: Stepper, gradients: Gradients, constants: Sequence[StepConstants]) -> int:
    """Takes a step in `stepper`, whose tensors are the header's, and returns how many elements of a
    model's gradients saturated; 0 for integers. `constants` are those of `constants_of`.

    Raises as `Stepper`, but RangeError with tensor and index: then nothing has changed.
    """
    try:
        if isinstance(gradients, Model):
            return stepper.step_model(gradients, constants)
        stepper.step(gradients, constants)
        return 0
    except RangeError as error:
        raise located(header, error) from None


def first_state(header: Header, weights: IntArray) -> State:
    """`weights` (int64 of shape (header.size,)) and zeros. Raises UsageError, RangeError."""
    if weights.shape != (header.size,):
        raise UsageError(f"the weights have shape {weights.shape}; the header's manifest has {header.size} elements")
    try:
        return initial_state(header.rule, weights)
    except RangeError as error:
        raise located(header, error) from None


def located(header: Header, error: RangeError, start: int = 0) -> RangeError:
    """`error` with its tensor and the index in it; its index so far counts from element `start` of
    the flat vector."""
    return locate(error, (TensorSpan(p.name, p.offset, p.size) for p in header.parameters), start)


def constants_of(
    header: Header, sequences: Sequence[ConstantsSequence], t: int, lr: Sequence[str]
) -> list[StepConstants]:
    """The constants of each group in step `t` = 1, 2, 3 ... `sequences` holds `header.sequence` of
    each group, and is cheap to ask in the order of the steps; `lr` is a decimal for each group if
    the schedule is recorded, and empty if the header declares one. UsageError for an lr that
    doesn't fit the header, or is out of range."""
    wanted = len(header.groups) if header.schedule == "recorded" else 0
    if len(lr) != wanted:
        raise UsageError(
            f"step {t} has {len(lr)} learning rates; with a {header.schedule} schedule it must be {wanted}"
        )
    try:
        rates: Sequence[Fraction | None] = [parse_decimal(text, "lr") for text in lr] or [None] * len(sequences)
        return [sequence.at(t, rate) for sequence, rate in zip(sequences, rates, strict=True)]
    except VerificationError as error:  # written for a stranger's header; here the numbers are the caller's own
        raise UsageError(f"step {t} can't be taken: {error}") from error
