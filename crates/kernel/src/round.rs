//! Roots and quotients: a float is the seed, exact integers correct it. No branch, no integer division.
//!
//! Every float operation of IEEE 754 rounds its exact result to nearest, so that each has a relative error of at most
//! u = 2^-53. A seed that is known to be right or *one too large* needs one correction, a comparison of exact integers.
//!
//! **Root** ([`root`]), 0 <= v <= 2^60. Converting v to a float, then taking the root: a relative error of at most
//! u/2 + u, and a little for their product, so below 2^-52; the root is at most 2^30, so the error is below 2^-22. Let
//! n = floor(sqrt(v)). The float lies in `(n - 2^-22, n + 1 + 2^-22)`, and the nearest integer of it is n or n + 1. It is
//! n + 1 too much just if its square is above v.
//!
//! **Quotient** ([`quotient`]), x = a*b/d with abs(a*b) < 2^60, 0 < d < 2^31, to nearest, halves up: q = floor(x + 1/2).
//! a, b and d are exact floats; product and quotient each round: for abs(x) < 2^31 an error below 2^31 * 2^-52 = 2^-21.
//! Adding 2^-20 rounds once more, by at most 2^-22 (half of a unit in the last place of numbers below 2^32). So the float y
//! has x < y < x + 2^-19. Its nearest integer r has r >= y - 1/2 > x - 1/2 >= q - 1, hence r >= q; and
//! r <= y + 1/2 < x + 1/2 + 2^-19 < q + 1 + 2^-19, hence r <= q + 1. It is one too large just if 2*r*d > 2*a*b + d. Where
//! abs(x) >= 2^31, y is above 2^31 - 1 in size: that is reported, and the result means nothing.

/// 1.5 * 2^52. Numbers between 2^52 and 2^53 are integers: adding it rounds to an integer (half to even), and adding an
/// integer to its bits adds that to the number. So no conversion is needed, which not every machine has for vectors.
const MAGIC: f64 = 6_755_399_441_055_744.0;

const BIAS: f64 = 1.0 / 1_048_576.0;
const LARGEST: f64 = 2_147_483_647.0; // 2^31 - 1

/// The integer nearest to x, half to even; `abs(x) < 2^51`.
#[inline(always)]
pub fn nearest(x: f64) -> i64 {
    (x + MAGIC).to_bits().wrapping_sub(MAGIC.to_bits()).cast_signed()
}

/// x as a float, exactly; `abs(x) < 2^51`.
#[inline(always)]
pub fn float(x: i64) -> f64 {
    f64::from_bits(MAGIC.to_bits().wrapping_add_signed(x)) - MAGIC
}

/// The product of two integers that fit 32 bits: one instruction, where that of 64 bits takes several.
#[inline(always)]
#[allow(clippy::cast_possible_truncation)]
pub fn product(a: i64, b: i64) -> i64 {
    i64::from(a as i32) * i64::from(b as i32)
}

/// `floor(sqrt(v))` for `0 <= v <= 2^60`.
#[inline(always)]
#[allow(clippy::cast_precision_loss)]
pub fn root(v: i64) -> i64 {
    let seed = nearest((v.cast_unsigned() as f64).sqrt());
    seed - i64::from(product(seed, seed) > v)
}

/// `floor((2*a*b + d) / (2*d))` for a and b below 2^30 in size and `0 < d < 2^31`; and whether it is out of reach: if so it
/// is 2^31 - 1 or more in size, and the number given means nothing.
#[inline(always)]
pub fn quotient(a: i64, b: i64, d: i64) -> (i64, bool) {
    let y = float(a) * float(b) / float(d) + BIAS;
    let seed = nearest(y);
    // 2*(a*b - seed*d) + d < 0
    let left = product(a, b).wrapping_sub(product(seed, d));
    (seed.wrapping_sub(i64::from(left.wrapping_add(left).wrapping_add(d) < 0)), y.abs() >= LARGEST)
}
