"""The rules of `core.rules` as Triton kernels: one pass over state, gradient and weights.

Imported only where a step is taken, since it needs triton. Each program does BLOCK elements of one
parameter, the last one's tail masked; lanes beyond it hold zeros, a fixed point of every rule.
Nothing branches on a value.

Sums and products are those of `core.rules`, below 2^63, in int64. `>>` of a signed integer is the
floor; Triton's `//` truncates, so nothing uses it. Roots and quotients begin as floats, which may
be off by one, and are settled by exact products: how a device rounds or fuses them doesn't matter.
What is refused is flagged (report[1]), saturated elements are counted (report[0]), both with atomic
operations on integers, whose order doesn't matter.

`W` and `M`, 46 bits with their sign, are two planes: the low 32 bits and the bits above, int16. The
state that a pass writes also says where it wrote no weight (`_UNTOUCHED`), for `write` to put the
others back if the step isn't taken.
"""

import triton
import triton.language as tl

from zk_autograd.core import formats

_SHIFT = tl.constexpr(formats.SHIFT)
_HALF = tl.constexpr(1 << (formats.SHIFT - 1))
_LOW_BITS = tl.constexpr((1 << formats.SHIFT) - 1)
_GRADIENT_BOUND = tl.constexpr(formats.GRADIENT_BOUND)
_ROUNDED_MOMENT_BOUND = tl.constexpr(formats.ROUNDED_MOMENT_BOUND)
_MOMENTUM_BOUND = tl.constexpr(formats.MOMENTUM_BOUND)
_UPDATE_BOUND = tl.constexpr(formats.UPDATE_BOUND)
_WEIGHT_BOUND = tl.constexpr(formats.WEIGHT_BOUND)
_WEIGHT_UNIT = tl.constexpr(2.0**-formats.WEIGHT_BITS)

_EXPONENT = tl.constexpr(0x7F800000)
_CLAMP = tl.constexpr(float(formats.GRADIENT_BOUND))
_QUOTIENT = tl.constexpr(2.0**31 - 1)
_UNTOUCHED = tl.constexpr(-(2**15))
"""Upper bits that no weight within its range has: they are at most 2^13 in size."""

ALIGNMENT = tl.constexpr(16)
"""Each parameter begins at a multiple of so many elements in a plane."""

# Arguments whose values make no kernel of their own. n does: loads are wider for a multiple of 16.
_ADAM = ["c1", "c2", "LR", "E", "decay", "scale", "place", "offset"]
_LION = ["c1", "c2", "LR", "decay", "scale", "place", "offset"]
_RMSPROP = ["c2", "LR", "E", "decay", "scale", "place", "offset"]
_SGD = ["mu", "cg", "LR", "s", "decay", "scale", "place", "offset"]


@triton.jit
def _wide(low, high, at, mask):
    """The integers of two planes."""
    below = tl.load(low + at, mask, other=0).to(tl.uint32, bitcast=True).to(tl.int64)
    return (tl.load(high + at, mask, other=0).to(tl.int64) << 32) | below


@triton.jit
def _store_wide(low, high, at, mask, values):
    tl.store(low + at, values.to(tl.int32), mask)
    tl.store(high + at, (values >> 32).to(tl.int16), mask)


@triton.jit
def _rounded(values):
    """As core.rules.arithmetic.rounded."""
    return (values + _HALF) >> _SHIFT


@triton.jit
def _beyond(values, bound):
    """Which elements are not below `bound` in size."""
    return (values <= -bound) | (values >= bound)


@triton.jit
def _nearest(values):
    """float32 of at most 2^30 in size to int32, ties to even.

    From the floor up where what is above it is more than a half, or half and the floor odd. That
    difference is exact from 1 on in size, and down to 0; between -1 and 0 its rounding may make a
    half of a little more, which changes nothing: the floor is odd there.
    """
    floor = tl.floor(values)
    above = values - floor
    down = floor.to(tl.int32)
    return down + ((above > 0.5) | ((above == 0.5) & ((down & 1) == 1))).to(tl.int32)


@triton.jit
def _isqrt(values):
    """floor(sqrt(v)), int32, for 0 <= v <= 2^60: exact.

    With r = (1+e)/sqrt(v), abs(e) < 2^-20 of a float32, and s = v*r, s + (v - s*s)*r/2 is sqrt(v)
    within 2^-39 of it, so the floor is off by at most one (0, taken for 1, too), which exact
    squares settle.
    """
    wide = tl.maximum(values, 1).to(tl.float64)
    inverse = tl.rsqrt(wide.to(tl.float32)).to(tl.float64)
    root = wide * inverse
    root = (root + (wide - root * root) * (0.5 * inverse)).to(tl.int32)
    square = root.to(tl.int64) * root.to(tl.int64)
    over = square > values
    under = square + 2 * root.to(tl.int64) < values  # (s+1)^2 <= v
    return root - over.to(tl.int32) + under.to(tl.int32)


@triton.jit
def _halved_quotient(dividend, half):
    """floor(n / (2*d)), int64, for int32 d > 0 and abs(n) < 2^62: exact below 2^31 - 1 in size,
    beyond it at least 2^31 - 3.

    1/d of a float32, within 2^-20 of it, is within 2^-39 after one step of Newton's: below 2^31 the
    floor of the estimate is off by at most one, and the remainder says where.
    """
    divisor = half.to(tl.float64)
    inverse = (1.0 / half.to(tl.float32)).to(tl.float64)
    inverse = inverse * (2.0 - divisor * inverse)
    estimate = tl.floor(dividend.to(tl.float64) * (0.5 * inverse))
    quotient = tl.minimum(tl.maximum(estimate, -_QUOTIENT), _QUOTIENT).to(tl.int32)
    remainder = dividend - 2 * (quotient.to(tl.int64) * half.to(tl.int64))
    above = (remainder >= 2 * half.to(tl.int64)).to(tl.int64)
    return quotient.to(tl.int64) - (remainder < 0).to(tl.int64) + above


@triton.jit
def _second_moment(V, G, c2):
    """As core.rules.arithmetic.next_second_moment."""
    X = G * G - V
    return V + c2.to(tl.int64) * (X >> _SHIFT) + _rounded(c2.to(tl.int64) * (X & _LOW_BITS))


@triton.jit
def _dequantized(W):
    """As core.formats.dequantize_weight: the conversion to float32 is the one rounding, since the
    product is exact."""
    return W.to(tl.float32) * _WEIGHT_UNIT


@triton.jit
def _gradient(gradient, at, mask, scale, FLOATS: tl.constexpr):
    """The integers G, int32, of float32 gradients (core.formats.quantize_gradient) or of integers;
    which saturated; which are refused."""
    values = tl.load(gradient + at, mask, other=0)
    if FLOATS:
        finite = (values.to(tl.int32, bitcast=True) & _EXPONENT) != _EXPONENT
        # Exact, or beyond every bound, or below 2^-126, where all becomes 0.
        scaled = tl.where(finite, values, 0.0) * scale
        unclamped = _nearest(tl.minimum(tl.maximum(scaled, -_CLAMP), _CLAMP))
        G = tl.minimum(tl.maximum(unclamped, 1 - _GRADIENT_BOUND), _GRADIENT_BOUND - 1)
        return G, _beyond(unclamped, _GRADIENT_BOUND), finite == 0
    else:
        return values, values > _GRADIENT_BOUND, _beyond(values, _GRADIENT_BOUND)  # nothing is clamped, nor counted


@triton.jit
def _lanes(place, n, BLOCK: tl.constexpr):
    """This program's elements within the parameter and within the planes, and which there are."""
    own = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    return own, tl.multiple_of(place.to(tl.int64), ALIGNMENT) + own, own < n


@triton.jit
def _move(W, U, decay):
    """W', and where U or W' left its range."""
    moved = W - U - _rounded(decay.to(tl.int64) * (W >> _SHIFT))
    return moved, _beyond(U, _UPDATE_BOUND) | _beyond(moved, _WEIGHT_BOUND)


@triton.jit
def _finish(W, moved, low, high, weights, at, own, mask, saturated, refused, report, FLOATS: tl.constexpr):
    """Stores W', and its floats where the model still has those of W; counts and flags."""
    upper = tl.where(_beyond(moved, _WEIGHT_BOUND), 0, moved >> 32).to(tl.int16)
    if FLOATS:
        there = tl.load(weights + own, mask, other=0.0).to(tl.int32, bitcast=True)
        changed = there != _dequantized(W).to(tl.int32, bitcast=True)
        tl.store(weights + own, _dequantized(moved), mask & (changed == 0))
        upper = tl.where(changed, _UNTOUCHED, upper).to(tl.int16)
        refused = refused | changed
        tl.atomic_add(report, tl.sum(saturated.to(tl.int64), 0), sem="relaxed")
    tl.store(low + at, moved.to(tl.int32), mask)
    tl.store(high + at, upper, mask)
    tl.atomic_or(report + 1, tl.max(refused.to(tl.int64), 0), sem="relaxed")


@triton.jit(do_not_specialize=_ADAM)
def adam(
    w_low,
    w_high,
    m_low,
    m_high,
    v,
    new_w_low,
    new_w_high,
    new_m_low,
    new_m_high,
    new_v,
    gradient,
    weights,
    integers,
    report,
    c1,
    c2,
    LR,
    E,
    decay,
    scale,
    place,
    offset,
    n,
    FLOATS: tl.constexpr,
    BLOCK: tl.constexpr,
):
    """As core.rules.adam."""
    own, at, mask = _lanes(place, n, BLOCK)
    narrow, saturated, refused = _gradient(gradient, own, mask, scale, FLOATS)
    if FLOATS:
        tl.store(integers + offset.to(tl.int64) + own, narrow, mask)
    G = narrow.to(tl.int64)
    M = _wide(m_low, m_high, at, mask)
    M += _rounded(c1.to(tl.int64) * ((G << _SHIFT) - M))
    Mh = _rounded(M)
    _store_wide(new_m_low, new_m_high, at, mask, M)
    V = _second_moment(tl.load(v + at, mask, other=0), G, c2)
    tl.store(new_v + at, V, mask)
    D = _isqrt(V) + E
    U = _halved_quotient(2 * (LR.to(tl.int64) * Mh.to(tl.int32).to(tl.int64)) + D, D)
    W = _wide(w_low, w_high, at, mask)
    moved, failed = _move(W, U, decay)
    refused = refused | failed | _beyond(Mh, _ROUNDED_MOMENT_BOUND)
    _finish(W, moved, new_w_low, new_w_high, weights, at, own, mask, saturated, refused, report, FLOATS)


@triton.jit(do_not_specialize=_LION)
def lion(
    w_low,
    w_high,
    m_low,
    m_high,
    new_w_low,
    new_w_high,
    new_m_low,
    new_m_high,
    gradient,
    weights,
    integers,
    report,
    c1,
    c2,
    LR,
    decay,
    scale,
    place,
    offset,
    n,
    FLOATS: tl.constexpr,
    BLOCK: tl.constexpr,
):
    """As core.rules.lion."""
    own, at, mask = _lanes(place, n, BLOCK)
    narrow, saturated, refused = _gradient(gradient, own, mask, scale, FLOATS)
    if FLOATS:
        tl.store(integers + offset.to(tl.int64) + own, narrow, mask)
    M = _wide(m_low, m_high, at, mask)
    X = (narrow.to(tl.int64) << _SHIFT) - M
    C = c1.to(tl.int64) * X + (M << _SHIFT)
    _store_wide(new_m_low, new_m_high, at, mask, M + _rounded(c2.to(tl.int64) * X))
    U = LR.to(tl.int64) * ((C > 0).to(tl.int64) - (C < 0).to(tl.int64))
    W = _wide(w_low, w_high, at, mask)
    moved, failed = _move(W, U, decay)
    refused = refused | failed
    _finish(W, moved, new_w_low, new_w_high, weights, at, own, mask, saturated, refused, report, FLOATS)


@triton.jit(do_not_specialize=_RMSPROP)
def rmsprop(
    w_low,
    w_high,
    v,
    new_w_low,
    new_w_high,
    new_v,
    gradient,
    weights,
    integers,
    report,
    c2,
    LR,
    E,
    decay,
    scale,
    place,
    offset,
    n,
    FLOATS: tl.constexpr,
    BLOCK: tl.constexpr,
):
    """As core.rules.rmsprop."""
    own, at, mask = _lanes(place, n, BLOCK)
    narrow, saturated, refused = _gradient(gradient, own, mask, scale, FLOATS)
    if FLOATS:
        tl.store(integers + offset.to(tl.int64) + own, narrow, mask)
    G = narrow.to(tl.int64)
    V = _second_moment(tl.load(v + at, mask, other=0), G, c2)
    tl.store(new_v + at, V, mask)
    D = _isqrt(V) + E
    U = _halved_quotient(2 * (LR.to(tl.int64) * G) + D, D)
    W = _wide(w_low, w_high, at, mask)
    moved, failed = _move(W, U, decay)
    refused = refused | failed
    _finish(W, moved, new_w_low, new_w_high, weights, at, own, mask, saturated, refused, report, FLOATS)


@triton.jit(do_not_specialize=_SGD)
def sgd(
    w_low,
    w_high,
    b,
    new_w_low,
    new_w_high,
    new_b,
    gradient,
    weights,
    integers,
    report,
    mu,
    cg,
    LR,
    s,
    decay,
    scale,
    place,
    offset,
    n,
    MOMENTUM: tl.constexpr,
    NESTEROV: tl.constexpr,
    FLOATS: tl.constexpr,
    BLOCK: tl.constexpr,
):
    """As core.rules.sgd; without MOMENTUM `b` and `new_b` are not looked at."""
    own, at, mask = _lanes(place, n, BLOCK)
    narrow, saturated, refused = _gradient(gradient, own, mask, scale, FLOATS)
    if FLOATS:
        tl.store(integers + offset.to(tl.int64) + own, narrow, mask)
    added = cg.to(tl.int64) * narrow.to(tl.int64)
    if MOMENTUM:
        B = _rounded(mu.to(tl.int64) * tl.load(b + at, mask, other=0).to(tl.int64) + added)
        tl.store(new_b + at, B.to(tl.int32), mask)
    else:
        B = _rounded(added)
    A = B
    if NESTEROV:
        A = _rounded(mu.to(tl.int64) * B + added)
    shift = s.to(tl.int64)
    U = (LR.to(tl.int64) * A + (tl.full((), 1, tl.int64) << (shift - 1))) >> shift
    W = _wide(w_low, w_high, at, mask)
    moved, failed = _move(W, U, decay)
    refused = refused | failed | _beyond(B, _MOMENTUM_BOUND)
    _finish(W, moved, new_w_low, new_w_high, weights, at, own, mask, saturated, refused, report, FLOATS)


@triton.jit(do_not_specialize=["place"])
def write(w_low, w_high, new_w_high, weights, place, n, BACK: tl.constexpr, BLOCK: tl.constexpr):
    """Writes the floats of W; BACK: only where the pass that gave `new_w_high` wrote others."""
    own, at, mask = _lanes(place, n, BLOCK)
    if BACK:
        mask = mask & (tl.load(new_w_high + at, mask, other=0) != _UNTOUCHED)
    tl.store(weights + own, _dequantized(_wide(w_low, w_high, at, mask)), mask)
