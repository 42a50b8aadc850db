"""The losses: the outputs' derivatives, and what a log says of the batch.

    classes     p_i = T[min(c - Z_i, 65535)],  c the least integer, and at least every Z, for which
                the p_i add up to at most 2^20;   dZ_i = p_i - 2^8 t_i;   the loss is c - Z of the
                own class, in units of 2^-12
    values      dZ = 2^8 (Z - t), the derivative of half the squared error, which is the loss, in
                units of 2^-25

The losses are exact sums, too: integers, which are divided once.
"""

from collections.abc import Callable
from typing import TypeAlias

import numpy as np

from zk_autograd.core.graph import exponential
from zk_autograd.core.graph.data import require_one_hot, require_range
from zk_autograd.core.graph.formats import ACTIVATION_BITS, ONE, TARGET_SHIFT
from zk_autograd.core.graph.products import Floats

Loss: TypeAlias = Callable[[Floats, Floats, int], tuple[Floats, int]]
"""Of logits or values Z, (examples, outputs), integers below 2^22 in size, their targets t, and the
number of the first example in the batch: dZ, and the sum of the examples' losses. TargetsError or
UnitRangeError for targets that none has."""

CLASSES_BITS, VALUES_BITS = ACTIVATION_BITS, 2 * ACTIVATION_BITS + 1
"""Fraction bits of the losses."""


def classes(Z: Floats, t: Floats, first: int) -> tuple[Floats, int]:
    """Cross-entropy of softmax: a `Loss`, in units of 2^-12."""
    require_one_hot(t, first=first)
    c, p = exponential.probabilities(Z)
    own = Z[t == ONE]  # one of each example
    p -= t * 2.0**TARGET_SHIFT
    return p, int((c - own).sum())  # 2^13 examples of less than 2^24 each


def values(Z: Floats, t: Floats, first: int) -> tuple[Floats, int]:
    """Half the squared errors: a `Loss`, in units of 2^-25. Its dZ may be too large."""
    require_range("the targets", t, first=first)
    errors = Z - t
    squares = (errors.astype(np.int64) ** 2).sum(axis=1)  # below 2^40 each, or dZ is out of range
    return errors * 2.0**TARGET_SHIFT, sum(squares.tolist())
