"""How close recomputed float gradients are to recorded integers.

A tensor's difference is what remains between the integers and the recomputed floats, in the
integers' units, once the integers' own rounding (half a unit) is taken off: its largest element as
a share of the gradient's largest, or its Euclidean norm as a share of the gradient's norm,
whichever is more. So a difference of 2^-11 bounds both what one element was moved by and what all
of them were. A step's difference is that of its worst tensor.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf, log2

import numpy as np
from numpy.typing import NDArray

from zk_autograd.core.formats import GRADIENT_BITS, GRADIENT_BOUND, FloatArray
from zk_autograd.core.records import Parameter

TOLERANCE = 2.0**-11
"""The largest difference that passes. Measured between AVX-512, AVX2 and SSE4, on up to 10^6
parameters and one step's rows: 2^-18 as long as the loss is large, up to 2^-12.7 where it is nearly
0 (p - 1 of a probability near 1 has few digits left). A step in which a unit is on with one
arithmetic and off with the other is beyond it."""

_HALF = 0.5
_LIMIT = float(GRADIENT_BOUND - 1)


@dataclass(frozen=True, slots=True)
class Difference:
    """A step's difference, in the tensor of this name; `exact`: every integer is the recomputed
    float, rounded."""

    value: float
    tensor: str
    exact: bool


def difference(
    recorded: NDArray[np.int32], computed: FloatArray, parameters: Sequence[Parameter], scale: int
) -> Difference:
    """That of a step: `recorded` int32 (size,), under the gradient scale 2^scale, `computed`
    float32 (size,). Infinite where a float isn't finite, or all of a tensor's are 0 and its
    integers aren't."""
    worst, exact = Difference(-1.0, "", True), True
    for p in parameters:
        part = slice(p.offset, p.offset + p.size)
        value, same = _of_tensor(recorded[part], computed[part], scale)
        exact = exact and same
        if value > worst.value:
            worst = Difference(value, p.name, same)
    return Difference(max(worst.value, 0.0), worst.tensor, exact)


def _of_tensor(recorded: NDArray[np.int32], computed: FloatArray, scale: int) -> tuple[float, bool]:
    if not np.isfinite(computed).all():
        return inf, False
    scaled = computed.astype(np.float64) * 2.0 ** (GRADIENT_BITS + scale)
    held = np.clip(scaled, -_LIMIT, _LIMIT)
    if np.array_equal(np.rint(held), recorded):
        return 0.0, True
    beyond = np.maximum(np.abs(recorded - held) - _HALF, 0.0)
    shares = [
        0.0 if not most else (most / whole if whole else inf)
        for most, whole in (
            (float(beyond.max()), float(np.abs(scaled).max())),
            (float(np.linalg.norm(beyond)), float(np.linalg.norm(scaled))),
        )
    ]
    return max(shares), False


def as_power(value: float) -> str:
    """A difference for people: "0", below 1 as a power of two."""
    if value in (0, inf):
        return "0" if value == 0 else "infinite"
    return f"2^{log2(value):.1f}" if value < 1 else f"{value:.3g}"
