"""Exact integer arithmetic on int64 vectors, shared by the rules, which check the ranges."""

import numpy as np

from zk_autograd.core.formats import SHIFT, IntArray


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
