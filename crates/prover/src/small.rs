//! The small coset: where the quotient's overhang, which the words don't determine, is found.

use p3_field::{Field, PrimeCharacteristicRing, TwoAdicField};
use p3_util::log2_strict_usize;
use zk_autograd_air::Val;
use zk_autograd_verifier::batch::power;
use zk_autograd_verifier::parameters::MASK;

use crate::words::{Dft, Polynomials, on_small_coset};

/// log2 of the small coset's points.
pub const LOG_SMALL: usize = log2_strict_usize(4 * MASK);

/// The small coset's shift: no point of that coset lies on one of the words'.
#[must_use]
pub fn small_shift() -> Val {
    Val::GENERATOR.square()
}

/// The values of polynomials on the small coset, some rows on.
#[must_use]
pub fn on_small(dft: &Dft, polynomials: &Polynomials, rows: i64) -> Vec<Val> {
    let log_rows = log2_strict_usize(polynomials.low.values.len() / polynomials.low.width);
    on_small_coset(dft, polynomials, LOG_SMALL, small_shift() * power(Val::two_adic_generator(log_rows), rows))
}
