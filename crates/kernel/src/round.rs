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
//! r <= y + 1/2 < x + 1/2 + 2^-19 < q + 1 + 2^-19, hence r <= q + 1. It is one too large just if 2*r*d > 2*a*b + d. From
//! [`FAR`] + 1 = 2^31 - 1 on, y is replaced by that, so that r keeps to 32 bits: then q is at least `FAR` in size, and so is
//! r, corrected or not.

/// 1.5 * 2^52. Numbers between 2^52 and 2^53 are integers: adding it rounds to an integer (half to even), and adding an
/// integer to its bits adds that to the number. So no conversion is needed, which not every machine has for vectors.
const MAGIC: f64 = 6_755_399_441_055_744.0;

const BIAS: f64 = 1.0 / 1_048_576.0;
/// Quotients below it in size are exact.
pub const FAR: i64 = (1 << 31) - 2;
#[allow(clippy::cast_precision_loss)]
const FARTHER: f64 = (FAR + 1) as f64;

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

/// `floor((2*a*b + d) / (2*d))` for a and b below 2^30 in size and `0 < d < 2^31`, if that is below [`FAR`] in size; else
/// some number from `FAR` on, of its sign.
#[inline(always)]
pub fn quotient(a: i64, b: i64, d: i64) -> i64 {
    let y = float(a) * float(b) / float(d) + BIAS;
    let low = if y > -FARTHER { y } else { -FARTHER };
    let seed = nearest(if low < FARTHER { low } else { FARTHER });
    // 2*(a*b - seed*d) + d < 0
    let left = product(a, b).wrapping_sub(product(seed, d));
    seed - i64::from(left.wrapping_add(left).wrapping_add(d) < 0)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::cast_precision_loss)]

    use super::*;

    /// `floor(sqrt(v))` by integers alone.
    fn exact_root(v: i64) -> i64 {
        v.isqrt()
    }

    /// The quotient by integers alone.
    fn exact_quotient(a: i64, b: i64, d: i64) -> i128 {
        let [a, b, d] = [a, b, d].map(i128::from);
        (2 * a * b + d).div_euclid(2 * d)
    }

    fn check_quotient(a: i64, b: i64, d: i64) {
        let wanted = exact_quotient(a, b, d);
        let found = quotient(a, b, d);
        if wanted.abs() < i128::from(FAR) {
            assert_eq!(i128::from(found), wanted, "{a} * {b} / {d}");
        } else {
            assert!(found.abs() >= FAR && i128::from(found.signum()) == wanted.signum(), "{a} * {b} / {d}: {found}");
        }
    }

    /// Numbers at random, the same each time (Marsaglia's xorshift).
    fn random() -> impl FnMut(u32) -> i64 {
        let mut state = 88_172_645_463_325_252_u64;
        move |bits| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state >> (64 - bits)).cast_signed()
        }
    }

    #[test]
    fn roots_beside_perfect_squares_are_exact() {
        // Every n below 2^20, then every 1021st, and the last ones before 2^30.
        let far = (1 << 20..1 << 30).step_by(1021);
        for n in (0..1_i64 << 20).chain(far).chain((1 << 30) - 5000..=1 << 30) {
            for v in [n * n - 1, n * n, n * n + 1, n * n + n, n * n + n + 1, n * n + 2 * n] {
                if (0..=1 << 60).contains(&v) {
                    assert_eq!(root(v), exact_root(v), "the root of {v}");
                }
            }
        }
    }

    #[test]
    fn roots_of_every_size_are_exact() {
        let mut next = random();
        for bits in 1..=60 {
            for _ in 0..20_000 {
                let v = next(bits);
                assert_eq!(root(v), exact_root(v), "the root of {v}");
            }
        }
        assert_eq!(root(1 << 60), 1 << 30);
    }

    #[test]
    fn the_seed_of_a_root_is_right_or_one_too_large_and_both_happen() {
        let seed = |n: i64| nearest(((n * n - 1).cast_unsigned() as f64).sqrt()) - (n - 1);
        let off: Vec<_> = ((1 << 30) - 4096..1 << 30).map(seed).collect();
        assert!(off.contains(&1));
        assert!(off.iter().all(|off| (0..=1).contains(off)));
    }

    #[test]
    fn quotients_at_every_half_are_exact() {
        // x = m + 1/2 and next to it, for small and for the largest quotients.
        for d in [1, 2, 3, 4, 5, 6, 1023, 1024, 687, (1 << 20) + 1, (1 << 30) - 1, 1 << 30, (1 << 31) - 1_i64] {
            for a in [1, 2, 3, 1 << 15, 4_294_967, (1 << 30) - 1_i64] {
                for m in (0..400_i64).chain([1 << 20, (1 << 30) - 1, (1 << 31) - (1 << 20), (1 << 31) - 2]) {
                    // b next to (m + 1/2) * d / a
                    let b = (i128::from(2 * m + 1) * i128::from(d) / i128::from(2 * a)).min((1 << 30) - 2);
                    let b = i64::try_from(b).expect("it is below 2^30");
                    for b in [b - 1, b, b + 1] {
                        check_quotient(a, b, d);
                        check_quotient(a, -b, d);
                    }
                }
            }
        }
    }

    #[test]
    fn small_quotients_are_exact_without_exception() {
        for a in 0..24 {
            for b in -150..=150 {
                for d in 1..=150 {
                    check_quotient(a, b, d);
                }
            }
        }
    }

    #[test]
    fn quotients_of_every_size_are_exact() {
        let mut next = random();
        for round in 0..600_000 {
            let a = next(1 + round % 30);
            let b = next(1 + round / 30 % 30) * (1 - 2 * next(1));
            let d = next(1 + round / 900 % 31).max(1);
            check_quotient(a, b, d);
            check_quotient(a, b, (d | 1 << 30).min((1 << 30) + (1 << 29)));
        }
        check_quotient((1 << 30) - 1, (1 << 30) - 1, 1);
        check_quotient((1 << 30) - 1, 1 - (1 << 30), 1);
    }

    #[test]
    fn an_integer_goes_through_a_float_and_back() {
        let mut next = random();
        for bits in 1..=50 {
            let x = next(bits) * (1 - 2 * next(1));
            assert_eq!(nearest(float(x)), x);
            assert_eq!(float(x).to_bits(), (x as f64).to_bits());
        }
        assert_eq!([0.5, 1.5, 2.5, -0.5, -1.5].map(nearest), [0, 2, 2, 0, -2]);
    }
}
