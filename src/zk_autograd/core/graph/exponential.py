"""The table of the exponential function: T[z] = floor(2^20 exp(-z / 4096) + 1/2), z = 0 .. 65535.

It is made by integers alone, at 2^-128: a series for exp(-1/4096), and its powers. No value is a
tie, since e to a rational is irrational, so that floor and rounding agree once the error is below
the distance to the next half (which the tests measure). From 59,622 on it is 0.
"""

from functools import cache

import numpy as np
from numpy.typing import NDArray

from zk_autograd.core.graph.formats import ACTIVATION_BITS, DERIVATIVE_BITS

ENTRIES = 2**16
LAST = ENTRIES - 1

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
    is one.
    """
    T = _floats()
    top = Z.max(axis=1)
    spread = np.exp((Z - top[:, None]) * 2.0**-ACTIVATION_BITS).sum(axis=1)
    c = top + np.ceil(np.log(spread) * 2.0**ACTIVATION_BITS)
    p = T[_places(c, Z)]
    wrong = (p.sum(axis=1) > TOTAL) | ((c > top) & (T[_places(c - 1, Z)].sum(axis=1) <= TOTAL))
    for row in np.flatnonzero(wrong):
        c[row] = _searched(Z[row], float(top[row]))
        p[row] = T[_places(c[row], Z[row])]
    return c, p


TOTAL = 2.0**DERIVATIVE_BITS


def _places(c: NDArray[np.float64], Z: NDArray[np.float64]) -> NDArray[np.int64]:
    return np.clip(np.asarray(c)[..., None] - Z, 0, LAST).astype(np.int64)


def _searched(Z: NDArray[np.float64], top: float) -> float:
    """c of one example, by halving: the sum at c is at most 2^20 from some c on."""
    T = _floats()
    low, high = (
        top - 1,
        top + LAST,
    )  # too small (c is at least the top); large enough: all are 0 but for T's last entries, which are 0
    while high - low > 1:
        middle = low + (high - low) // 2
        if T[_places(np.array(middle), Z)].sum() > TOTAL:
            low = middle
        else:
            high = middle
    return high
