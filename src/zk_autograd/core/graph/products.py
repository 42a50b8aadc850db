"""Products of integer matrices by float64 BLAS, exact whatever the order of its sums.

Rule: a sum whose terms are integers, and add up in size to less than 2^53, is exact in float64 in
any order and with or without fused multiplication; whether they do is checked on the actual numbers
(first by largest elements, then by sums of a column), with a bit left for what is added to round.
Else one factor is cut into a high and a low part, each product is exact, and int64 adds them up:
there every sum of the pass fits (graph.acceptance).
"""

from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

Floats: TypeAlias = NDArray[np.float64]
Matmul: TypeAlias = Callable[[Floats, Floats], Floats]
"""The product of two float64 matrices, (m, n) and (n, p), by IEEE additions and multiplications in
any order."""

EXACT = 2.0**52
_LOW_BITS = 11


def largest(values: NDArray[Any]) -> float:
    """The largest absolute value; 0 of none."""
    return max(float(values.max()), -float(values.min())) if values.size else 0.0


def product(x: Floats, y: Floats, matmul: Matmul, x_largest: float, y_largest: float) -> tuple[NDArray[Any], float]:
    """x y, integers, and a bound on the sizes of its sums: float64 where that is exact, else int64.

    `x_largest` and `y_largest` bound the factors' elements. Those of y are at most 2^22 in size, and
    n times 2^11 times x's at most 2^52.
    """
    bound = x_largest * y_largest * x.shape[1]
    if bound >= EXACT:
        bound = x_largest * float(np.abs(y).sum(axis=0).max(initial=0.0))
    if bound < EXACT:
        return matmul(x, y), bound
    high = np.floor(y * 2.0**-_LOW_BITS)
    low = y - high * 2.0**_LOW_BITS
    return (matmul(x, high).astype(np.int64) << _LOW_BITS) + matmul(x, low).astype(np.int64), bound


def rounded(values: NDArray[Any], bits: int) -> NDArray[Any]:
    """floor((values + half) / 2^bits), half = floor(2^(bits - 1)): as float64, or int64, as given.
    float64 must be exact: below 2^53 in size, the half included."""
    half = 2**bits >> 1
    if values.dtype == np.int64:
        integers: NDArray[np.int64] = (values + half) >> bits
        return integers
    return np.floor((values + float(half)) * 2.0**-bits)
