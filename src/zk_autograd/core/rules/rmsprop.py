"""One step of RMSprop on integers, element by element.

    V' = V + floor((c2*(G*G - V) + 2^14) / 2^15)
    S  = floor(sqrt(V'))
    D  = S + E
    U  = floor((2*LR*G + D) / (2*D))                      nearest, halves up; abs(U) < 2^31 - 2^20
    R  = floor((Dt*floor(W / 2^15) + 2^14) / 2^15)        decoupled decay
    W' = W - U - R                                        abs(W') < 2^45

The formats are those of `formats`, the constants those of `constants` (Dt is its field D). As
torch.optim.RMSprop without momentum and not centered: eps is added to the root, and nothing is
corrected for the first steps, so that the first U is LR / sqrt(1 - alpha) large. Adam with beta1 =
0 has the same quotient. All products and sums are below 2^63 (tests/core/rules/test_arithmetic.py
has the table).
"""

from collections.abc import Mapping
from dataclasses import dataclass

from zk_autograd.core.constants import RmspropConstants, StepConstants
from zk_autograd.core.formats import (
    GRADIENT_BOUND,
    SHIFT,
    UPDATE_BOUND,
    WEIGHT_ADVICE,
    WEIGHT_BOUND,
    IntArray,
    require_below,
)
from zk_autograd.core.rules.arithmetic import (
    GRADIENT_ADVICE,
    UPDATE_ADVICE,
    isqrt,
    next_second_moment,
    require_second_moment,
    rounded,
)


@dataclass(frozen=True, slots=True, eq=False)
class RmspropState:
    """Weights and second moments: int64, of one shape."""

    W: IntArray
    V: IntArray


@dataclass(frozen=True, slots=True, eq=False)
class RmspropTrace:
    """All that a step computes, named as in the module's definition; V and W are the next state."""

    V: IntArray
    S: IntArray
    D: IntArray
    U: IntArray
    R: IntArray
    W: IntArray


def rmsprop_trace(state: RmspropState, G: IntArray, constants: RmspropConstants) -> RmspropTrace:
    """The step from `state` with the gradient `G` (int64, of the state's shape), and all that it
    computes.

    Raises RangeError (tensor "", index within the vector) if an element of the state, of G, U or W'
    leaves its range.
    """
    c = constants
    require_below("weight", state.W, WEIGHT_BOUND, WEIGHT_ADVICE)
    require_second_moment(state.V)
    require_below("gradient", G, GRADIENT_BOUND, GRADIENT_ADVICE)

    V = next_second_moment(state.V, G, c.c2)
    S = isqrt(V)
    D = S + c.E
    U = (2 * c.LR * G + D) // (2 * D)
    require_below("update", U, UPDATE_BOUND, UPDATE_ADVICE)

    R = rounded(c.D * (state.W >> SHIFT))
    W = state.W - U - R
    require_below("weight", W, WEIGHT_BOUND, WEIGHT_ADVICE)
    return RmspropTrace(V=V, S=S, D=D, U=U, R=R, W=W)


def rmsprop_step(state: RmspropState, G: IntArray, constants: RmspropConstants) -> RmspropState:
    """The next state. As `rmsprop_trace`."""
    trace = rmsprop_trace(state, G, constants)
    return RmspropState(W=trace.W, V=trace.V)


def trace(state: Mapping[str, IntArray], G: IntArray, constants: StepConstants) -> RmspropTrace:
    """As `rmsprop_trace`, for a state by name and RMSprop's constants."""
    assert isinstance(constants, RmspropConstants)
    return rmsprop_trace(RmspropState(**state), G, constants)
