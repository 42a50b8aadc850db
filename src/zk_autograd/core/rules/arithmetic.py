"""Exact integer arithmetic on int64 vectors, shared by the rules, which check the ranges, and the
words for those."""

import numpy as np

from zk_autograd.core.errors import RangeError
from zk_autograd.core.formats import SECOND_MOMENT_MAX, SHIFT, IntArray, require_below

STATE_ADVICE = "no step produces such a value: the state is damaged; resume from an earlier one"
GRADIENT_ADVICE = "quantize_gradient keeps it below: pass what it returns"
UPDATE_ADVICE = "lower lr, or raise eps or grad_scale"
_LOW_BITS = (1 << SHIFT) - 1


def rounded(values: IntArray) -> IntArray:
    """floor((x + 2^14) / 2^15), element-wise: to nearest, halves up; abs(x) below 2^63 - 2^14."""
    return (values + (1 << (SHIFT - 1))) >> SHIFT  # >> on a signed integer is the floor


def isqrt(values: IntArray) -> IntArray:
    """floor(sqrt(v)) for 0 <= v <= 2^60, element by element, exact.

    float64 keeps v to a relative error of 2^-53 and its square root to another, so that the
    estimate is within 2^30 * 2^-52 of sqrt(v): its floor is off by at most one. `settled_root`
    corrects that.
    """
    return settled_root(values, np.sqrt(values.astype(np.float64)).astype(np.int64))


def settled_root(values: IntArray, estimate: IntArray) -> IntArray:
    """floor(sqrt(v)) for 0 <= v <= 2^60 from an estimate that is at most one too large or too
    small, by exact squares."""
    root = estimate - (estimate * estimate > values)
    above = root + 1
    return root + (above * above <= values)


def next_second_moment(V: IntArray, G: IntArray, c2: int) -> IntArray:
    """V + floor((c2*(G*G - V) + 2^14) / 2^15), for V and G in their ranges and 0 <= c2 <= 2^15."""
    X = G * G - V  # c2*X exceeds 2^63: its high and low bits are multiplied separately
    return V + c2 * (X >> SHIFT) + rounded(c2 * (X & _LOW_BITS))


def require_second_moment(V: IntArray) -> None:
    """RangeError (tensor "") for an element of V outside 0 .. 2^60."""
    require_below("second moment", V, SECOND_MOMENT_MAX + 1, STATE_ADVICE)
    negative = np.flatnonzero(V < 0)
    if negative.size:
        index = int(negative[0])
        advice = f"and it must not be negative: {STATE_ADVICE}"
        raise RangeError("second moment", "", index, int(V.flat[index]), SECOND_MOMENT_MAX + 1, advice)
