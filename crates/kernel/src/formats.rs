//! The bounds of the number formats (Python's `core.formats`), and the way from and to floats.

use crate::round::nearest;

/// `abs(W)` stays below it.
pub const WEIGHT_BOUND: i64 = 1 << 45;
/// `abs(G)` stays below it.
pub const GRADIENT_BOUND: i64 = 1 << 30;
/// `abs(M)` stays below it.
pub const FIRST_MOMENT_BOUND: i64 = 1 << 45;
/// The bound of M rounded to the gradient's scale.
pub const ROUNDED_MOMENT_BOUND: i64 = 1 << 30;
/// `abs(B)` stays below it.
pub const MOMENTUM_BOUND: i64 = 1 << 30;
/// V reaches it.
pub const SECOND_MOMENT_MAX: i64 = 1 << 60;
/// `abs(U)` stays below it.
pub const UPDATE_BOUND: i64 = (1 << 31) - (1 << 20);
/// Every rounding shift is by this many bits.
pub const SHIFT: u32 = 15;

/// Fraction bits of a gradient.
pub const GRADIENT_BITS: i32 = 28;
/// The exponents that a gradient's scale may have.
pub const SCALES: std::ops::RangeInclusive<i32> = -32..=32;

/// 1.5 * 2^20: the last bit of a float64 near it is 2^-32, the unit of weights.
const WEIGHT_MAGIC: f64 = 1_572_864.0;
const LIMIT: f64 = 1_073_741_823.499_999_9; // the last float64 below 2^30 - 1/2

/// `floor((x + 2^14) / 2^15)`.
#[inline(always)]
pub fn rounded(x: i64) -> i64 {
    (x + (1 << (SHIFT - 1))) >> SHIFT
}

/// Whether `abs(x)` is not below `bound`, for any x but the least.
#[inline(always)]
pub fn beyond(x: i64, bound: i64) -> bool {
    x.wrapping_abs() >= bound
}

/// The float of a weight: `W * 2^-32`, rounded to nearest, ties to even, once. Adding W to the bits of the float64 adds
/// `W * 2^-32` to the number, exactly, since `abs(W) < 2^51`; taking the number away again is exact, too.
#[inline(always)]
#[allow(clippy::cast_possible_truncation)] // that is the rounding
pub fn dequantize(w: i64) -> f32 {
    (f64::from_bits(WEIGHT_MAGIC.to_bits().wrapping_add_signed(w)) - WEIGHT_MAGIC) as f32
}

/// A gradient's integer, whether it saturated, and whether the gradient wasn't finite (the others then mean nothing).
///
/// `scale` is 2^(28 + k), so that the product is exact. It saturates if it *rounds* beyond 2^30 - 1, that is from
/// 2^30 - 1/2 on, which lies between an odd and an even integer and goes to the even one. Clamped to the last float64
/// below that, it rounds to 2^30 - 1.
#[inline(always)]
#[allow(clippy::float_cmp)]
pub fn quantize(gradient: f32, scale: f64) -> (i64, bool, bool) {
    let x = f64::from(gradient) * scale;
    let low = if x > -LIMIT { x } else { -LIMIT };
    let clamped = if low < LIMIT { low } else { LIMIT };
    (nearest(clamped), clamped != x, !gradient.is_finite())
}
