//! The bounds of the number formats (Python's `core.formats`), and the way from and to floats.

use crate::round::{MAGIC, nearest};

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

const WEIGHT_UNIT: f64 = 1.0 / 4_294_967_296.0;
const LIMIT: f64 = 1_073_741_823.0; // 2^30 - 1

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

/// The float of a weight: `W * 2^-32`, rounded to nearest, ties to even, once. The float64 between is exact, since
/// `abs(W) < 2^51`.
#[inline(always)]
#[allow(clippy::cast_possible_truncation)] // that is the rounding
pub fn dequantize(w: i64) -> f32 {
    // Adding W to the bits of 1.5 * 2^52 adds it to the number.
    ((f64::from_bits(MAGIC.to_bits().wrapping_add_signed(w)) - MAGIC) * WEIGHT_UNIT) as f32
}

/// A gradient's integer, whether it saturated, and whether the gradient wasn't finite (the integer then means nothing).
///
/// `scale` is 2^(28 + k), so that the product is exact. Clamping before rounding gives what rounding before clamping
/// gives, since the limits are integers; a product saturates if it *rounds* beyond them, that is from 2^30 - 1/2 on,
/// which lies between an odd and an even integer and goes to the even one.
#[inline(always)]
pub fn quantize(gradient: f32, scale: f64) -> (i32, bool, bool) {
    let x = f64::from(gradient) * scale;
    let low = if x > -LIMIT { x } else { -LIMIT };
    let clamped = if low < LIMIT { low } else { LIMIT };
    (nearest(clamped), x.abs() >= LIMIT + 0.5, !gradient.is_finite())
}
