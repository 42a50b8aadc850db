"""The table of the exponential function: T[z] = floor(2^20 exp(-z / 4096) + 1/2), z = 0 .. 65535.

It is made by integers alone, at 2^-192: a series for exp(-1/4096), and its powers. No value is a
tie, since e to a rational is irrational, so that floor and rounding agree once the error is below
the distance to the next half (which the tests measure). From 59,622 on it is 0.
"""

from functools import cache

import numpy as np
from numpy.typing import NDArray

from zk_autograd.core.graph.formats import ACTIVATION_BITS, DERIVATIVE_BITS

ENTRIES = 2**16
LAST = ENTRIES - 1
TOTAL = 2.0**DERIVATIVE_BITS
"""What the probabilities add up to at most: 1."""

_BITS = 192
"""Fraction bits of the powers: each of 2^16 multiplications loses less than one unit."""


@cache
def table() -> NDArray[np.int64]:
    """T, int64 (65536,), not to be written to."""
    one = 1 << _BITS
    term, step, n = one, one, 0
    while term:
        n += 1
        term = (term >> ACTIVATION_BITS) // n
        step += term if n % 2 == 0 else -term
    values = np.zeros(ENTRIES, np.int64)
    power, half, shift = one, 1 << (_BITS - DERIVATIVE_BITS - 1), _BITS - DERIVATIVE_BITS
    for z in range(ENTRIES):
        values[z] = (power + half) >> shift
        if not values[z]:
            break
        power = (power * step) >> _BITS
    values.setflags(write=False)
    return values


@cache
def _floats() -> NDArray[np.float64]:
    floats = table().astype(np.float64)
    floats.setflags(write=False)
    return floats


def probabilities(Z: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """c, (examples,), and the probabilities p in units of 2^-20, (examples, classes), of logits Z,
    integers below 2^22 in size: floats that hold integers.

    c is guessed in floats, and then held against what defines it: it is the least integer, and at
    least every Z, for which the p add up to at most 2^20. The sum falls as c grows, so that there
    is one. Sums of T are exact: below 2^20 times 2^20.
    """
    T = _floats()
    top = Z.max(axis=1)
    with np.errstate(under="ignore"):
        spread = np.exp((Z - top[:, None]) * 2.0**-ACTIVATION_BITS).sum(axis=1)
    c = top + np.ceil(np.log(spread) * 2.0**ACTIVATION_BITS)
    p = _looked_up(T, c[:, None] - Z)
    before = _looked_up(T, c[:, None] - 1 - Z).sum(axis=1)
    wrong = (p.sum(axis=1) > TOTAL) | ((c > top) & (before <= TOTAL))
    for row in np.flatnonzero(wrong):
        c[row] = _searched(T, Z[row], float(top[row]), float(c[row]))
        p[row] = _looked_up(T, c[row] - Z[row])
    return c, p


def _looked_up(T: NDArray[np.float64], places: NDArray[np.float64]) -> NDArray[np.float64]:
    """T at `places`, integers; at its ends beyond them."""
    found: NDArray[np.float64] = T.take(places.astype(np.intp), mode="clip")
    return found


def _searched(T: NDArray[np.float64], Z: NDArray[np.float64], top: float, guess: float) -> float:
    """c of one example: from the guess on by steps that double, then by halving."""
    low = top - 1  # too small: c is at least the top
    high = top + LAST  # large enough: all are T's last entry, which is 0
    at, step = guess, 1.0
    while high - low > 1:
        at = min(max(at, low + 1), high - 1)
        if _looked_up(T, at - Z).sum() > TOTAL:
            low, at = at, at + step
        else:
            high, at = at, at - step
        step *= 2
        if low >= top and high < top + LAST:
            at = low + (high - low) // 2
    return high
