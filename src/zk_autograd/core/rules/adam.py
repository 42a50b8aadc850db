"""One step of Adam or AdamW on integers, element by element.

    M' = M + floor((c1*(2^15*G - M) + 2^14) / 2^15)
    Mh = floor((M' + 2^14) / 2^15)                        abs(Mh) < 2^30
    V' = V + floor((c2*(G*G - V) + 2^14) / 2^15)
    S  = floor(sqrt(V'))
    D  = S + E
    U  = floor((2*LR*Mh + D) / (2*D))                     nearest, halves up; abs(U) < 2^31 - 2^20
    R  = floor((Dt*floor(W / 2^15) + 2^14) / 2^15)        decoupled decay; Dt = 0 for Adam
    W' = W - U - R                                        abs(W') < 2^45

The formats are those of `formats`, the constants those of `constants` (Dt is its field D). Adam:
Kingma and Ba, 2015; the decay: Loshchilov and Hutter, 2019. M' and V' need no check of their own:
each is a mean of two numbers within the bound, weighted by c and 2^15 - c, and rounded. All
products and sums are below 2^63 (tests/core/rules/test_arithmetic.py has the table).
"""

from collections.abc import Mapping
from dataclasses import dataclass

from zk_autograd.core.constants import AdamConstants, StepConstants
from zk_autograd.core.formats import (
    FIRST_MOMENT_BOUND,
    GRADIENT_BOUND,
    ROUNDED_MOMENT_BOUND,
    SHIFT,
    UPDATE_BOUND,
    WEIGHT_ADVICE,
    WEIGHT_BOUND,
    IntArray,
    require_below,
)
from zk_autograd.core.rules.arithmetic import (
    GRADIENT_ADVICE,
    STATE_ADVICE,
    UPDATE_ADVICE,
    isqrt,
    next_second_moment,
    require_second_moment,
    rounded,
)


@dataclass(frozen=True, slots=True, eq=False)
class AdamState:
    """Weights, first and second moments: int64, all of one shape."""

    W: IntArray
    M: IntArray
    V: IntArray


@dataclass(frozen=True, slots=True, eq=False)
class AdamTrace:
    """All that a step computes, named as in the module's definition; M, V and W are the next
    state."""

    M: IntArray
    Mh: IntArray
    V: IntArray
    S: IntArray
    D: IntArray
    U: IntArray
    R: IntArray
    W: IntArray


def adam_trace(state: AdamState, G: IntArray, constants: AdamConstants) -> AdamTrace:
    """The step from `state` with the gradient `G` (int64, of the state's shape), and all that it
    computes.

    Raises RangeError (tensor "", index within the vector) if an element of the state, of G, of Mh,
    U or W' leaves its range.
    """
    c = constants
    require_below("weight", state.W, WEIGHT_BOUND, WEIGHT_ADVICE)
    require_below("first moment", state.M, FIRST_MOMENT_BOUND, STATE_ADVICE)
    require_second_moment(state.V)
    require_below("gradient", G, GRADIENT_BOUND, GRADIENT_ADVICE)

    M = state.M + rounded(c.c1 * ((G << SHIFT) - state.M))
    Mh = rounded(M)
    require_below("rounded first moment", Mh, ROUNDED_MOMENT_BOUND, STATE_ADVICE)

    V = next_second_moment(state.V, G, c.c2)
    S = isqrt(V)
    D = S + c.E

    U = (2 * c.LR * Mh + D) // (2 * D)
    require_below("update", U, UPDATE_BOUND, UPDATE_ADVICE)

    R = rounded(c.D * (state.W >> SHIFT))
    W = state.W - U - R
    require_below("weight", W, WEIGHT_BOUND, WEIGHT_ADVICE)
    return AdamTrace(M=M, Mh=Mh, V=V, S=S, D=D, U=U, R=R, W=W)


def adam_step(state: AdamState, G: IntArray, constants: AdamConstants) -> AdamState:
    """The next state. As `adam_trace`."""
    trace = adam_trace(state, G, constants)
    return AdamState(W=trace.W, M=trace.M, V=trace.V)


def trace(state: Mapping[str, IntArray], G: IntArray, constants: StepConstants) -> AdamTrace:
    """As `adam_trace`, for a state by name and Adam's constants."""
    assert isinstance(constants, AdamConstants)
    return adam_trace(AdamState(**state), G, constants)
