"""One step of Lion on integers, element by element.

    C  = c1*(2^15*G - M) + 2^15*M                         the update's interpolation, not rounded
    S  = sign(C), one of -1, 0 and 1
    M' = M + floor((c2*(2^15*G - M) + 2^14) / 2^15)
    U  = LR*S
    R  = floor((D*floor(W / 2^15) + 2^14) / 2^15)         decoupled decay
    W' = W - U - R                                        abs(W') < 2^45

The formats are those of `formats`, the constants those of `constants`. Lion: Chen et al., "Symbolic
Discovery of Optimization Algorithms", 2023, algorithm 2. Its sign is why C is kept whole: rounded,
it would be 0 for small moments, and a weight would stand still that Lion moves by LR. M has the 15
more fraction bits that Adam's has. Without gradients it rests where abs(M) <= 2^14 / c2, at most
half a unit of G. For a beta2 above 1/2 it keeps its sign there, as the real number does, which only
gets smaller; for others it ends at 0.

M' needs no check of its own: it is a mean of two numbers within the bound, weighted by c2 and
2^15 - c2, and rounded. abs(C) is below 2^60, and all products and sums are below 2^63
(tests/core/rules/test_arithmetic.py has the table).
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from zk_autograd.core.constants import LionConstants, StepConstants
from zk_autograd.core.formats import (
    FIRST_MOMENT_BOUND,
    GRADIENT_BOUND,
    SHIFT,
    WEIGHT_ADVICE,
    WEIGHT_BOUND,
    IntArray,
    require_below,
)
from zk_autograd.core.rules.arithmetic import GRADIENT_ADVICE, STATE_ADVICE, rounded


@dataclass(frozen=True, slots=True, eq=False)
class LionState:
    """Weights and first moments: int64, of one shape."""

    W: IntArray
    M: IntArray


@dataclass(frozen=True, slots=True, eq=False)
class LionTrace:
    """All that a step computes, named as in the module's definition; M and W are the next state."""

    C: IntArray
    S: IntArray
    M: IntArray
    U: IntArray
    R: IntArray
    W: IntArray


def lion_trace(state: LionState, G: IntArray, constants: LionConstants) -> LionTrace:
    """The step from `state` with the gradient `G` (int64, of the state's shape), and all that it
    computes.

    Raises RangeError (tensor "", index within the vector) if an element of the state, of G or W'
    leaves its range.
    """
    c = constants
    require_below("weight", state.W, WEIGHT_BOUND, WEIGHT_ADVICE)
    require_below("first moment", state.M, FIRST_MOMENT_BOUND, STATE_ADVICE)
    require_below("gradient", G, GRADIENT_BOUND, GRADIENT_ADVICE)

    X = (G << SHIFT) - state.M
    C = c.c1 * X + (state.M << SHIFT)
    S = np.sign(C)
    M = state.M + rounded(c.c2 * X)

    U = c.LR * S
    R = rounded(c.D * (state.W >> SHIFT))
    W = state.W - U - R
    require_below("weight", W, WEIGHT_BOUND, WEIGHT_ADVICE)
    return LionTrace(C=C, S=S, M=M, U=U, R=R, W=W)


def lion_step(state: LionState, G: IntArray, constants: LionConstants) -> LionState:
    """The next state. As `lion_trace`."""
    trace = lion_trace(state, G, constants)
    return LionState(W=trace.W, M=trace.M)


def trace(state: Mapping[str, IntArray], G: IntArray, constants: StepConstants) -> LionTrace:
    """As `lion_trace`, for a state by name and Lion's constants."""
    assert isinstance(constants, LionConstants)
    return lion_trace(LionState(**state), G, constants)
