"""One exact step over the flat vector of all parameters, for the optimizer and for recovery."""

from bisect import bisect_left, bisect_right
from collections.abc import Mapping, Sequence
from fractions import Fraction

import numpy as np

from zk_autograd.core.constants import ConstantsSequence, StepConstants
from zk_autograd.core.decimals import parse_decimal
from zk_autograd.core.errors import RangeError, UsageError, VerificationError
from zk_autograd.core.formats import IntArray, TensorSpan, locate
from zk_autograd.core.records import Header
from zk_autograd.core.rules import State, initial_state, step


def advance(
    header: Header,
    sequences: Sequence[ConstantsSequence],
    state: Mapping[str, IntArray],
    t: int,
    gradients: IntArray,
    lr: Sequence[str],
) -> State:
    """The state after step `t` = 1, 2, 3 ..., from the one before it. Nothing is changed in place.

    The arrays of `state` and `gradients` are int64 of shape (header.size,); `sequences` holds
    `header.sequence` of each group, and is cheap to ask in the order of the steps; `lr` is a
    decimal for each group if the schedule is recorded, and empty if the header declares one. Raises
    UsageError for arguments that don't fit the header or an lr out of range, RangeError with tensor
    and index.
    """
    if gradients.dtype != np.int64 or gradients.shape != (header.size,):
        found = f"{gradients.dtype} of shape {gradients.shape}"
        raise UsageError(f"the gradients of step {t} are {found}; they must be int64 of shape ({header.size},)")
    result = {name: np.empty(header.size, np.int64) for name in header.states}
    for group, constants in enumerate(_constants(header, sequences, t, lr)):
        part = group_range(header, group)
        try:
            after = step(header.rule, {name: state[name][part] for name in header.states}, gradients[part], constants)
        except RangeError as error:
            raise located(header, error, part.start) from None
        for name, values in after.items():
            result[name][part] = values
    return result


def first_state(header: Header, weights: IntArray) -> State:
    """`weights` (int64 of shape (header.size,)) and zeros. Raises UsageError, RangeError."""
    if weights.shape != (header.size,):
        raise UsageError(f"the weights have shape {weights.shape}; the header's manifest has {header.size} elements")
    try:
        return initial_state(header.rule, weights)
    except RangeError as error:
        raise located(header, error) from None


def frozen(state: State) -> State:
    """The same state, whose arrays can't be written from now on."""
    for values in state.values():
        values.flags.writeable = False
    return state


def group_range(header: Header, group: int) -> slice:
    """The elements of a parameter group in the flat vector; empty if no tensor is in it."""
    first = bisect_left(header.parameters, group, key=lambda p: p.group)  # tensors stand in the order of their groups
    behind = bisect_right(header.parameters, group, key=lambda p: p.group)
    if first == behind:
        return slice(0, 0)
    last = header.parameters[behind - 1]
    return slice(header.parameters[first].offset, last.offset + last.size)


def located(header: Header, error: RangeError, start: int = 0) -> RangeError:
    """`error` with its tensor and the index in it; its index so far counts from element `start` of
    the flat vector."""
    return locate(error, (TensorSpan(p.name, p.offset, p.size) for p in header.parameters), start)


def _constants(
    header: Header, sequences: Sequence[ConstantsSequence], t: int, lr: Sequence[str]
) -> list[StepConstants]:
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
