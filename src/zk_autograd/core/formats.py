"""Number formats of the update rules: widths, bounds, and the way from float32 to integers and
back.

Every tensor of the model is held as int64. A real number x is the integer round(x * 2^bits):

    symbol  meaning                       scale       bound
    W       weight                        2^-32       abs(W) < 2^45
    G       gradient times 2^k            2^-28       abs(G) < 2^30, saturates
    M       first moment                  2^-(28+15)  abs(M) < 2^45
    B       momentum buffer (SGD)         2^-28       abs(B) < 2^30
    V       second moment                 2^-56       0 <= V <= 2^60

`2^k` is the gradient scale, like loss scaling in mixed precision. The widths are defined here and
nowhere else.

Why floats may be used here and still give one result everywhere: widening float32 to float64 is
exact; multiplying by 2^e with abs(e) <= 60 is exact, since every non-zero float32 is at least
2^-149 and below 2^128, far from the ends of float64; rint is the one rounding, half to even. A
processor set to flush subnormals changes nothing: they are below 2^-126, and all of them round to 0
under every permitted scale.
"""

from collections.abc import Iterable
from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from zk_autograd.core.errors import GradientError, RangeError, UsageError

IntArray: TypeAlias = NDArray[np.int64]
FloatArray: TypeAlias = NDArray[np.float32]

SHIFT = 15
"""Every rounding shift of the rules is by this many bits; coefficients have the scale 2^-SHIFT."""

WEIGHT_BITS = 32
GRADIENT_BITS = 28
MOMENT_EXTRA_BITS = SHIFT
"""Fraction bits that M has beyond G's: without them M would stay stuck at a few units for ever."""

WEIGHT_BOUND = 2**45
GRADIENT_BOUND = 2**30
FIRST_MOMENT_BOUND = 2**45
ROUNDED_MOMENT_BOUND = 2**30
"""Bound of Mh, the first moment rounded to the gradient's scale."""
MOMENTUM_BOUND = 2**30
SECOND_MOMENT_MAX = 2**60
"""Inclusive, unlike the other bounds."""
UPDATE_BOUND = 2**31 - 2**20

K_RANGE = range(-32, 33)
"""Permitted k of the gradient scale 2^k."""
K_AUTO = range(-16, 17)
"""What `auto_grad_scale` chooses from: beyond 16, SGD's LR (scale 2^(34-k)) has under 9 bits left
at lr = 1e-3."""

_AUTO_TARGET_BITS = 16


def quantize_gradient(grad: FloatArray, k: int, name: str = "gradient") -> tuple[IntArray, int]:
    """The integers G of a float32 gradient of any shape under the scale 2^k, and how many of them
    saturated.

    G = grad * 2^(k+28), rounded half to even, then clamped to +-(2^30 - 1): the one place where a
    value is clamped, and it is counted. Raises GradientError if `grad` isn't float32 or an element
    isn't finite (`name` and the flat index are in the message), UsageError if k isn't in K_RANGE.
    """
    _require_finite_gradient(grad, name)
    if k not in K_RANGE:
        raise UsageError(f"grad_scale is 2^{k}; its exponent must be in {K_RANGE[0]}..{K_RANGE[-1]}")
    scaled = np.rint(grad.astype(np.float64) * 2.0 ** (GRADIENT_BITS + k))
    limit = GRADIENT_BOUND - 1
    saturated = int(np.count_nonzero(np.abs(scaled) > limit))
    return np.clip(scaled, -limit, limit).astype(np.int64), saturated


def auto_grad_scale(grad: FloatArray) -> int:
    """The k in K_AUTO that puts the median size of the gradient's elements nearest to 2^16 units
    (in the ratio's sense).

    `grad` is float32 of any shape: all gradients of the first batch in one vector. The median is
    over the elements that aren't zero (dead units and padding would pull it to 0), the lower one of
    two, so that it is an element and nothing is averaged. 2^16 leaves 14 bits for elements above
    the median before they saturate. If every element is zero, k is 0. Raises GradientError as
    `quantize_gradient` does.
    """
    _require_finite_gradient(grad, "gradient")
    sizes = np.abs(grad[grad != 0])
    if sizes.size == 0:
        return 0
    middle = (sizes.size - 1) // 2
    mantissa, exponent = np.frexp(np.float64(np.partition(sizes, middle)[middle]))
    # The median is mantissa * 2^exponent, 1/2 <= mantissa < 1; from sqrt(1/2) on, 2^exponent is
    # nearer.
    nearest = int(exponent) - (0 if mantissa * mantissa >= 0.5 else 1)
    return min(max(_AUTO_TARGET_BITS - GRADIENT_BITS - nearest, K_AUTO[0]), K_AUTO[-1])


def quantize_weight(weight: FloatArray, name: str = "weight") -> IntArray:
    """The integers W = weight * 2^32 of float32 weights of any shape, rounded half to even, never
    clamped.

    Raises UsageError if `weight` isn't float32 or an element isn't finite, RangeError with `tensor`
    = `name` if abs(W) >= 2^45.
    """
    if weight.dtype != np.float32:
        raise UsageError(f"{name} is {weight.dtype}; only float32 weights can be trained: convert the model")
    index = _first(~np.isfinite(weight))
    if index is not None:
        raise UsageError(f"{name}[{index}] is {weight.flat[index]}; initial weights must be finite")
    scaled = np.rint(weight.astype(np.float64) * 2.0**WEIGHT_BITS)
    index = _first(np.abs(scaled) >= WEIGHT_BOUND)  # before the cast: float32 reaches 2^128
    if index is not None:
        raise RangeError("weight", name, index, int(scaled.flat[index]), WEIGHT_BOUND, WEIGHT_ADVICE)
    return scaled.astype(np.int64)


def dequantize_weight(weight: IntArray) -> FloatArray:
    """The float32 weights W * 2^-32 of any shape, rounded to nearest, ties to even, once.

    abs(W) < 2^45 has at most 45 bits, so the float64 is exact; times 2^-32 it still is; the cast to
    float32 is the one rounding (the result is 0 or at least 2^-32: never subnormal). Raises
    RangeError if abs(W) >= 2^45.
    """
    require_below("weight", weight, WEIGHT_BOUND, WEIGHT_ADVICE)
    return (weight.astype(np.float64) * 2.0**-WEIGHT_BITS).astype(np.float32)


WEIGHT_ADVICE = f"weights must stay below {WEIGHT_BOUND >> WEIGHT_BITS} in size: lower lr, or scale the layer's inputs"


def require_below(what: str, values: IntArray, bound: int, advice: str) -> None:
    """Raises RangeError, tensor "" (see `locate`), for the first element not below `bound` in
    size."""
    # Not abs(): that of the least int64 is negative.
    if values.size and not (-bound < int(values.min()) and int(values.max()) < bound):
        index = int(np.flatnonzero((values <= -bound) | (values >= bound))[0])
        raise RangeError(what, "", index, int(values.flat[index]), bound, advice)


class TensorSpan(NamedTuple):
    """Where a tensor lies in the flat parameter vector: elements `offset` to `offset + size -
    1`."""

    name: str
    offset: int
    size: int


def locate(error: RangeError, spans: Iterable[TensorSpan], start: int = 0) -> RangeError:
    """`error` with its tensor, and its index within that tensor, filled in.

    Its index counts within a block that begins at element `start` of the flat vector. An index
    outside every tensor (padding) leaves the error as it is.
    """
    position = start + error.index
    for span in spans:
        if span.offset <= position < span.offset + span.size:
            return RangeError(error.what, span.name, position - span.offset, error.value, error.bound, error.advice)
    return error


def _require_finite_gradient(grad: FloatArray, name: str) -> None:
    if grad.dtype != np.float32:
        raise GradientError(f"{name} is {grad.dtype}; only float32 gradients have an exact step")
    index = _first(~np.isfinite(grad))
    if index is not None:
        raise GradientError(
            f"{name}[{index}] is {grad.flat[index]}, which has no exact step: lower lr, or look for a "
            "division by zero or an overflow in the loss"
        )


def _first(failing: NDArray[np.bool_]) -> int | None:
    """The flat index of the first true element."""
    return int(np.argmax(failing)) if failing.any() else None
