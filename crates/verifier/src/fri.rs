//! The low-degree test: folds of words whose index is bit-reversed, so that the values that fold into one stand side by side.
//!
//! A word of length 2^m is a function on the subgroup of that order; a polynomial f of a column stands there as f(s X), with s the
//! shift of the columns' coset. Folding takes the even and the odd part: `f(X) = e(X^2) + X o(X^2)` becomes `e + c o`. An arity of 2^a
//! is a such folds, with the challenges c, c^2, c^4.

use p3_field::{Field, PrimeCharacteristicRing, TwoAdicField};
use p3_util::reverse_bits_len;
use zk_autograd_air::{Ext, Val};

/// The shift of the coset on which columns are committed: no point of it lies in a domain.
pub const SHIFT: Val = Val::GENERATOR;

/// Folds `values`, the 2^a neighbours that begin at index `group * 2^a` of a word of length `2^log_size`, into one.
#[must_use]
pub fn fold_group(values: &[Ext], group: usize, log_size: usize, challenge: Ext) -> Ext {
    let mut current = values.to_vec();
    let mut log_size = log_size;
    let mut challenge = challenge;
    let mut first = group;
    let mut width = values.len();
    // `first` counts groups of the current width: its pairs begin at first * width / 2.
    while width > 1 {
        let start = first * (width / 2);
        current = current
            .chunks_exact(2)
            .enumerate()
            .map(|(i, pair)| fold_pair(pair[0], pair[1], inverse_point(start + i, log_size), challenge))
            .collect();
        challenge = challenge.square();
        log_size -= 1;
        width /= 2;
        first = group;
    }
    current[0]
}

/// `(a + b) / 2 + challenge (a - b) / (2 x)` for the values a at x and b at -x.
#[inline]
#[must_use]
pub fn fold_pair(a: Ext, b: Ext, inverse_point: Val, challenge: Ext) -> Ext {
    ((a + b) + (a - b) * inverse_point * challenge).halve()
}

/// `1 / x` for the pair of that number in a word of length `2^log_size`.
#[must_use]
pub fn inverse_point(pair: usize, log_size: usize) -> Val {
    let exponent = reverse_bits_len(pair, log_size - 1);
    Val::two_adic_generator(log_size).inverse().exp_u64(exponent as u64)
}

/// The point of an index of a word of length `2^log_size`, in the subgroup.
#[must_use]
pub fn point(index: usize, log_size: usize) -> Val {
    Val::two_adic_generator(log_size).exp_u64(reverse_bits_len(index, log_size) as u64)
}
