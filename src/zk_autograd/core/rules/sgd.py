"""One step of SGD on integers, element by element: plain, with momentum, or Nesterov's.

    B' = floor((mu*B + cg*G + 2^14) / 2^15)               abs(B') < 2^30
    A  = B', or floor((mu*B' + cg*G + 2^14) / 2^15)       Nesterov's
    U  = floor((LR*A + 2^(s-1)) / 2^s)                    abs(U) < 2^31 - 2^20
    R  = floor((D*floor(W / 2^15) + 2^14) / 2^15)         decoupled decay
    W' = W - U - R                                        abs(W') < 2^45

The formats are those of `formats`, the constants those of `constants`. In a real step cg = 2^15,
and B' is floor((mu*B + 2^14) / 2^15) + G, as in torch.optim without dampening; in a no-op cg = 0
and mu = 2^15, so that B' = B whatever G is. Plain SGD has mu = 0, so B' = G, and nothing of B is
kept. Nesterov's A needs no check of its own: abs(B') and abs(G) below 2^30 and mu <= 2^15 keep it
below 2^31. All products and sums are below 2^63 (tests/core/rules/test_arithmetic.py has the
table).
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from zk_autograd.core.constants import SgdConstants, StepConstants
from zk_autograd.core.formats import (
    GRADIENT_BOUND,
    MOMENTUM_BOUND,
    SHIFT,
    UPDATE_BOUND,
    WEIGHT_ADVICE,
    WEIGHT_BOUND,
    IntArray,
    require_below,
)
from zk_autograd.core.rules.arithmetic import GRADIENT_ADVICE, rounded

_MOMENTUM_ADVICE = "lower momentum or grad_scale"


@dataclass(frozen=True, slots=True, eq=False)
class SgdState:
    """Weights and momentum buffer: int64, of one shape."""

    W: IntArray
    B: IntArray


@dataclass(frozen=True, slots=True, eq=False)
class SgdTrace:
    """All that a step computes, named as in the module's definition; B and W are the next state."""

    B: IntArray
    A: IntArray
    U: IntArray
    R: IntArray
    W: IntArray


def sgd_trace(state: SgdState, G: IntArray, constants: SgdConstants) -> SgdTrace:
    """The step from `state` with the gradient `G` (int64, of the state's shape), and all that it
    computes.

    Raises RangeError (tensor "", index within the vector) if an element of the state, of G, B', U
    or W' leaves its range.
    """
    B = _next_momentum(state, G, constants)
    return _moved(state.W, B, B, constants)


def nesterov_trace(state: SgdState, G: IntArray, constants: SgdConstants) -> SgdTrace:
    """As `sgd_trace`, with Nesterov's momentum."""
    B = _next_momentum(state, G, constants)
    return _moved(state.W, B, _accumulated(B, G, constants), constants)


def sgd_step(state: SgdState, G: IntArray, constants: SgdConstants) -> SgdState:
    """The next state. As `sgd_trace`."""
    trace = sgd_trace(state, G, constants)
    return SgdState(W=trace.W, B=trace.B)


def nesterov_step(state: SgdState, G: IntArray, constants: SgdConstants) -> SgdState:
    """The next state. As `nesterov_trace`."""
    trace = nesterov_trace(state, G, constants)
    return SgdState(W=trace.W, B=trace.B)


def _next_momentum(state: SgdState, G: IntArray, c: SgdConstants) -> IntArray:
    require_below("weight", state.W, WEIGHT_BOUND, WEIGHT_ADVICE)
    require_below("momentum", state.B, MOMENTUM_BOUND, _MOMENTUM_ADVICE)
    require_below("gradient", G, GRADIENT_BOUND, GRADIENT_ADVICE)
    B = _accumulated(state.B, G, c)
    require_below("momentum", B, MOMENTUM_BOUND, _MOMENTUM_ADVICE)
    return B


def _accumulated(B: IntArray, G: IntArray, c: SgdConstants) -> IntArray:
    return rounded(c.mu * B + c.cg * G)


def _moved(W: IntArray, B: IntArray, A: IntArray, c: SgdConstants) -> SgdTrace:
    U = (c.LR * A + (1 << (c.s - 1))) >> c.s
    require_below("update", U, UPDATE_BOUND, "lower lr")
    R = rounded(c.D * (W >> SHIFT))
    moved = W - U - R
    require_below("weight", moved, WEIGHT_BOUND, WEIGHT_ADVICE)
    return SgdTrace(B=B, A=A, U=U, R=R, W=moved)


def plain(state: Mapping[str, IntArray], G: IntArray, constants: StepConstants) -> SgdTrace:
    """As `sgd_trace`, for a state by name, without momentum, and SGD's constants."""
    return sgd_trace(SgdState(state["W"], np.zeros_like(G)), G, _own(constants))


def momentum(state: Mapping[str, IntArray], G: IntArray, constants: StepConstants) -> SgdTrace:
    """As `plain`, with momentum."""
    return sgd_trace(SgdState(**state), G, _own(constants))


def nesterov(state: Mapping[str, IntArray], G: IntArray, constants: StepConstants) -> SgdTrace:
    """As `plain`, with Nesterov's momentum."""
    return nesterov_trace(SgdState(**state), G, _own(constants))


def _own(constants: StepConstants) -> SgdConstants:
    assert isinstance(constants, SgdConstants)
    return constants
