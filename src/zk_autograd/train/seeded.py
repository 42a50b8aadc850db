"""Seeded numbers that are the same on every machine and in every version of NumPy.

Philox-4x64 is a counter-based generator (Salmon et al., 2011): the stream of (seed, purpose, index)
is found without drawing those before it, so a loop's position is a number and nothing has to be
saved. Only raw 64-bit words are drawn: NumPy guarantees a bit generator's words for ever, but not
what its distributions make of them (NEP 19).
"""

from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from zk_autograd.core.order import permutation, words

__all__ = ["Purpose", "permutation", "uniform", "words"]


class Purpose(IntEnum):
    """What a stream is for, so that no two uses of a seed get the same numbers; core.order has two
    more."""

    SPLIT = 1
    WEIGHTS = 2
    ORDER = 3


def uniform(seed: int, purpose: Purpose, index: int, count: int, bound: float) -> NDArray[np.float64]:
    """`count` numbers, uniform in [-bound, bound): multiples of bound * 2^-52."""
    unit = (words(seed, purpose, index, count) >> np.uint64(11)).astype(np.float64) * 2.0**-53
    return (2.0 * unit - 1.0) * bound
