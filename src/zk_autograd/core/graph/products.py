"""Products of integer matrices by float64 BLAS, exact whatever the order of its sums.

Rule: a sum whose terms are integers, and add up in size to less than 2^53, is exact in float64 in
any order and with or without fused multiplication; whether they do is checked on the actual numbers
(first by largest elements, then by sums of a column), with a bit left for what is added to round.
Else one factor is cut into a high and a low part, each product is exact, and int64 adds them up:
there every sum of the pass fits (graph.acceptance).
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

Floats: TypeAlias = NDArray[np.float64]
Matmul: TypeAlias = Callable[[Floats, Floats], Floats]
"""The product of two float64 matrices, (m, n) and (n, p), by IEEE additions and multiplications in
any order: an array of its own."""

EXACT = 2.0**52
LOW_BITS = 11
"""Bits of a factor's low part; 11 are left for the high one."""

PIECE = 2**15
"""Elements of a long vector that are looked at together, so that they stay in the cache."""


class Matrix(NamedTuple):
    """Integers as float64, and a bound on their sizes."""

    values: Floats
    largest: float


class Sums(NamedTuple):
    """Exact sums of integers, float64 or int64, and a bound on their sizes, which is below 2^52 for
    float64."""

    values: NDArray[Any]
    bound: float


def largest(values: NDArray[Any]) -> float:
    """The largest absolute value; 0 of none."""
    return max(float(values.max()), -float(values.min())) if values.size else 0.0


def pieces(size: int) -> Iterator[slice]:
    """0 .. `size` - 1, cut up."""
    return (slice(start, min(start + PIECE, size)) for start in range(0, size, PIECE))


def product(x: Floats, y: Floats, matmul: Matmul, x_largest: float, y_largest: float) -> Sums:
    """x y, of integers: float64 where that is exact, else int64.

    `x_largest` and `y_largest` bound the factors' elements. Those of y are at most 2^22 in size,
    2^11 times x's times the number of a sum's terms at most 2^52, and the sums fit int64.
    """
    bound = x_largest * y_largest * x.shape[1]
    if bound >= EXACT:
        bound = x_largest * float(np.abs(y).sum(axis=0).max(initial=0.0))
    if bound < EXACT:
        return Sums(matmul(x, y), bound)
    high = np.floor(y * 2.0**-LOW_BITS)
    low = y - high * 2.0**LOW_BITS
    return Sums((matmul(x, high).astype(np.int64) << LOW_BITS) + matmul(x, low).astype(np.int64), bound)


def added(one: Sums, other: Sums) -> Sums:
    """The sum of two, element by element; `one` may be written to."""
    bound = one.bound + other.bound
    if bound < EXACT:
        return Sums(np.add(one.values, other.values, out=one.values), bound)
    return Sums(one.values.astype(np.int64) + other.values.astype(np.int64), bound)


def rounded(values: NDArray[Any], bits: int) -> NDArray[Any]:
    """floor((values + half) / 2^bits), half = floor(2^(bits - 1)): as float64, or int64, as given.
    float64 must be exact: below 2^53 in size, the half included."""
    half = 2**bits >> 1
    if values.dtype == np.int64:
        integers: NDArray[np.int64] = (values + half) >> bits
        return integers
    found = values + float(half)
    found *= 2.0**-bits
    return np.floor(found, out=found)


def rounded_total(parts: Sequence[tuple[slice, Sums]], shape: tuple[int, int], bits: int) -> Floats:
    """floor((sum + half) / 2^bits) of parts, each of some columns of `shape`; the first may be
    written to. It is below 2^53 in size."""
    exact = sum(sums.bound for _, sums in parts) < EXACT
    found = parts[0][1].values
    if found.shape == shape and (exact or found.dtype == np.int64):
        rest = parts[1:]  # all columns of a product: nobody else has it
    else:
        found, rest = np.zeros(shape, np.float64 if exact else np.int64), parts
    for columns, (values, _) in rest:
        found[:, columns] += values if exact else values.astype(np.int64)
    return rounded(found, bits).astype(np.float64, copy=False)


def narrowed(values: NDArray[Any], bits: int, bound: int, into: NDArray[np.int32]) -> int | None:
    """Writes floor((values + half) / 2^bits) to `into`, (values.size,). The index of the first that
    isn't below `bound` in size, if there is one: then not all are written."""
    flat = values.reshape(-1)
    for piece in pieces(flat.size):
        found = rounded(flat[piece], bits)
        if largest(found) >= bound:
            return int(piece.start) + int(np.flatnonzero((found >= bound) | (found <= -bound))[0])
        into[piece] = found
    return None
