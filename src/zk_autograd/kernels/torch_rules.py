"""The rules of `core.rules` in torch's int64 operations: same definitions, same order, same bits.

Every product and sum stays below 2^63 (core.rules says which), so int64 is exact on any device.
`>>` on torch's signed integers is arithmetic, the floor of the division. Quotients and roots begin
as float64, whose error is below one half where it matters, and are settled by exact products.
Each function gives the next state and whether an element left its range.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from zk_autograd.core.constants import AdamConstants, LionConstants, RmspropConstants, SgdConstants, StepConstants
from zk_autograd.core.formats import (
    GRADIENT_BITS,
    GRADIENT_BOUND,
    MOMENTUM_BOUND,
    ROUNDED_MOMENT_BOUND,
    SHIFT,
    UPDATE_BOUND,
    WEIGHT_BITS,
    WEIGHT_BOUND,
)
from zk_autograd.core.hyper import Rule

Tensors = dict[str, Tensor]
Found = tuple[Tensors, Tensor]
"""The next state, int64 each, and a bool that says whether something is out of range."""

_HALF = 1 << (SHIFT - 1)
_LOW_BITS = (1 << SHIFT) - 1


def rounded(values: Tensor) -> Tensor:
    """As `core.rules.arithmetic.rounded`."""
    return (values + _HALF) >> SHIFT


def isqrt(values: Tensor) -> Tensor:
    """floor(sqrt(v)) for 0 <= v <= 2^60, exact: as `core.rules.arithmetic.isqrt`."""
    root = values.double().sqrt().long()
    root = root - (root * root > values).long()
    above = root + 1
    return root + (above * above <= values).long()


def floor_quotient(dividend: Tensor, divisor: Tensor) -> Tensor:
    """floor(n / d) for abs(n) < 2^62, 0 < d < 2^33, exact where it is below 2^40 in size; else
    within one part in 2^50 of it, and so on the same side of every bound below 2^39.

    Both operands and the quotient have a relative error of 2^-53 each: below 2^40 the estimate is
    within 2^-11 of the quotient, so its floor is off by at most one, and the remainder says where.
    """
    quotient = (dividend.double() / divisor.double()).floor().long()
    remainder = dividend - quotient * divisor
    return quotient - (remainder < 0).long() + (remainder >= divisor).long()


def beyond(values: Tensor, bound: int) -> Tensor:
    """Whether an element isn't below `bound` in size."""
    return ((values <= -bound) | (values >= bound)).any()


def quantize(gradient: Tensor, k: int) -> tuple[Tensor, Tensor, Tensor]:
    """As `core.formats.quantize_gradient`: the integers, int64, how many saturated, and whether an
    element isn't finite."""
    wide = gradient.double() * 2.0 ** (GRADIENT_BITS + k)
    finite = gradient.isfinite()
    scaled = torch.where(finite, wide, 0.0).round_()  # to even
    limit = GRADIENT_BOUND - 1
    saturated = (scaled.abs() > limit).sum()
    return scaled.clamp_(-limit, limit).long(), saturated, ~finite.all()


def dequantize(W: Tensor) -> Tensor:
    """As `core.formats.dequantize_weight`, for weights within their range."""
    return (W.double() * 2.0**-WEIGHT_BITS).float()


def adam(state: Tensors, G: Tensor, constants: StepConstants) -> Found:
    """As `core.rules.adam`."""
    assert isinstance(constants, AdamConstants)
    c, W, M, V = constants, state["W"], state["M"], state["V"]
    M = M + rounded(c.c1 * ((G << SHIFT) - M))
    Mh = rounded(M)
    V = _second_moment(V, G, c.c2)
    D = isqrt(V) + c.E
    U = floor_quotient(2 * c.LR * Mh + D, 2 * D)
    W, failed = _moved(W, U, c.D)
    failed = failed | beyond(G, GRADIENT_BOUND) | beyond(Mh, ROUNDED_MOMENT_BOUND)
    return {"W": W, "M": M, "V": V}, failed


def lion(state: Tensors, G: Tensor, constants: StepConstants) -> Found:
    """As `core.rules.lion`."""
    assert isinstance(constants, LionConstants)
    c, W, M = constants, state["W"], state["M"]
    X = (G << SHIFT) - M
    U = c.LR * (c.c1 * X + (M << SHIFT)).sign()
    W, failed = _moved(W, U, c.D)
    return {"W": W, "M": M + rounded(c.c2 * X)}, failed | beyond(G, GRADIENT_BOUND)


def rmsprop(state: Tensors, G: Tensor, constants: StepConstants) -> Found:
    """As `core.rules.rmsprop`."""
    assert isinstance(constants, RmspropConstants)
    c = constants
    V = _second_moment(state["V"], G, c.c2)
    D = isqrt(V) + c.E
    W, failed = _moved(state["W"], floor_quotient(2 * c.LR * G + D, 2 * D), c.D)
    return {"W": W, "V": V}, failed | beyond(G, GRADIENT_BOUND)


def _second_moment(V: Tensor, G: Tensor, c2: int) -> Tensor:
    X = G * G - V
    return V + c2 * (X >> SHIFT) + rounded(c2 * (X & _LOW_BITS))


def plain(state: Tensors, G: Tensor, constants: StepConstants) -> Found:
    """As `core.rules.sgd.plain`."""
    found, failed = momentum(state | {"B": torch.zeros_like(G)}, G, constants)
    return {"W": found["W"]}, failed


def momentum(state: Tensors, G: Tensor, constants: StepConstants) -> Found:
    """As `core.rules.sgd.momentum`."""
    return _sgd(state, G, constants, nesterov=False)


def nesterov(state: Tensors, G: Tensor, constants: StepConstants) -> Found:
    """As `core.rules.sgd.nesterov`."""
    return _sgd(state, G, constants, nesterov=True)


def _sgd(state: Tensors, G: Tensor, constants: StepConstants, *, nesterov: bool) -> Found:
    assert isinstance(constants, SgdConstants)
    c = constants
    B = rounded(c.mu * state["B"] + c.cg * G)
    A = rounded(c.mu * B + c.cg * G) if nesterov else B
    U = (c.LR * A + (1 << (c.s - 1))) >> c.s
    W, failed = _moved(state["W"], U, c.D)
    return {"W": W, "B": B}, failed | beyond(G, GRADIENT_BOUND) | beyond(B, MOMENTUM_BOUND)


def _moved(W: Tensor, U: Tensor, decay: int) -> tuple[Tensor, Tensor]:
    """The weights less the update and the decay, and whether update or weights left their
    range."""
    moved = W - U - rounded(decay * (W >> SHIFT))
    return moved, beyond(U, UPDATE_BOUND) | beyond(moved, WEIGHT_BOUND)


RULES: dict[Rule, Callable[[Tensors, Tensor, StepConstants], Found]] = {
    Rule.SGD: plain,
    Rule.SGD_MOMENTUM: momentum,
    Rule.NESTEROV: nesterov,
    Rule.ADAM: adam,
    Rule.ADAMW: adam,
    Rule.LION: lion,
    Rule.RMSPROP: rmsprop,
}
