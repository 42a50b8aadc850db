//! Polynomials and their words on the two cosets of the rows' domain.
//!
//! A word of length 2n is the polynomial's values on s H and s w H, with H the subgroup of order n and w a root of order 2n: its first
//! and its second half in bit-reversed order. On a coset t H a polynomial is known modulo `X^n - t^n`, so coefficients from n on are
//! added to the first ones, times t^n.

use p3_dft::{Radix2DitParallel, TwoAdicSubgroupDft};
use p3_field::{Field, PackedValue as _, PrimeCharacteristicRing, TwoAdicField};
use p3_matrix::bitrev::BitReversibleMatrix;
use p3_matrix::dense::RowMajorMatrix;
use p3_maybe_rayon::prelude::*;
use zk_autograd_air::Val;
use zk_autograd_verifier::fri::SHIFT;

use crate::coins::Stream;
use crate::memory;
pub use crate::memory::padded;
use crate::packed::Packed;

/// The transform that all words go through.
pub type Dft = Radix2DitParallel<Val>;

/// Polynomials of fewer than 2n coefficients: the first n of each as rows of a matrix, and the rest.
pub struct Polynomials {
    /// n rows.
    pub low: RowMajorMatrix<Val>,
    /// The coefficients from n on, row by row.
    pub high: Vec<Val>,
}

/// The words of several polynomials.
pub struct Words {
    /// Values in a row, padding included.
    pub width: usize,
    /// log2 of a half's rows.
    pub log_half: usize,
    /// Values on s H, then on s w H, each in bit-reversed order.
    pub halves: [Vec<Val>; 2],
}

impl Drop for Words {
    fn drop(&mut self) {
        for half in &mut self.halves {
            memory::give(core::mem::take(half));
        }
    }
}

impl Words {
    /// The row at an index of the whole word.
    #[inline]
    #[must_use]
    pub fn row(&self, index: usize) -> &[Val] {
        let half = &self.halves[index >> self.log_half];
        let at = (index & ((1 << self.log_half) - 1)) * self.width;
        &half[at..at + self.width]
    }
}

/// The shifts of the two cosets.
#[must_use]
pub fn shifts(log_half: usize) -> [Val; 2] {
    [SHIFT, SHIFT * Val::two_adic_generator(log_half + 1)]
}

/// The polynomials through the values of a matrix on the rows' domain, plus a random multiple of
/// `X^n - 1` with `mask` coefficients in each column that has coins.
#[must_use]
pub fn masked(
    dft: &Dft,
    values: RowMajorMatrix<Val>,
    mask: usize,
    coins: impl IntoIterator<Item = (usize, Stream)>,
) -> Polynomials {
    let width = values.width;
    // Through zeros goes zero: whoever checks a first state needs no transform.
    let mut low = if values.values.iter().all(Val::is_zero) { values } else { dft.idft_batch(values) };
    let mut high = Val::zero_vec(mask * width);
    for (column, mut stream) in coins {
        for row in 0..mask {
            high[row * width + column] = stream.value();
        }
    }
    for (low, high) in low.values.iter_mut().zip(&high) {
        *low -= *high;
    }
    Polynomials { low, high }
}

/// The words of the polynomials.
#[must_use]
pub fn words(dft: &Dft, polynomials: Polynomials) -> Words {
    let Polynomials { low, high } = polynomials;
    let width = low.width;
    let log_half = (low.values.len() / width).trailing_zeros() as usize;
    let [first, second] = shifts(log_half);
    let copy = RowMajorMatrix::new(memory::copied(&low.values), width);
    let halves = [(copy, first), (low, second)].map(|(mut matrix, shift)| {
        let wrap = shift.exp_power_of_2(log_half);
        for (low, high) in matrix.values.iter_mut().zip(&high) {
            *low += *high * wrap;
        }
        dft.coset_dft_batch(matrix, shift).bit_reverse_rows().values
    });
    Words { width, log_half, halves }
}

/// The values of the polynomials on `shift K`, with K the subgroup of order `2^log_size`, in natural order, row by row.
#[must_use]
pub fn on_small_coset(dft: &Dft, polynomials: &Polynomials, log_size: usize, shift: Val) -> Vec<Val> {
    let width = polynomials.low.width;
    let size = 1 << log_size;
    let wrap = shift.exp_power_of_2(log_size);
    let fold = |values: &[Val], first_block: usize| -> Vec<Val> {
        let mut sums = Val::zero_vec(size * width);
        let mut power = wrap.exp_u64(first_block as u64);
        for block in values.chunks(size * width) {
            let factor = Packed::from(power);
            let (packed, rest) = Packed::pack_slice_with_suffix(block);
            let (into, _) = Packed::pack_slice_with_suffix_mut(&mut sums);
            debug_assert!(rest.is_empty(), "rows are padded to whole vectors");
            for (sum, value) in into.iter_mut().zip(packed) {
                *sum += *value * factor;
            }
            power *= wrap;
        }
        sums
    };
    let blocks = polynomials.low.values.len() / (size * width);
    let part = blocks.div_ceil(16).max(1);
    let mut total = fold(&polynomials.high, blocks);
    let parts: Vec<Vec<Val>> = polynomials
        .low
        .values
        .par_chunks(part * size * width)
        .enumerate()
        .map(|(i, values)| fold(values, i * part))
        .collect();
    for sums in parts {
        for (sum, value) in total.iter_mut().zip(sums) {
            *sum += value;
        }
    }
    let matrix = dft.coset_dft_batch(RowMajorMatrix::new(total, width), shift).bit_reverse_rows();
    let mut natural = Val::zero_vec(size * width);
    for (i, row) in matrix.values.chunks_exact(width).enumerate() {
        let at = p3_util::reverse_bits_len(i, log_size) * width;
        natural[at..at + width].copy_from_slice(row);
    }
    natural
}

/// 1 / (x^n - 1) on the two halves.
#[must_use]
pub fn inverse_vanishing(log_half: usize) -> [Val; 2] {
    shifts(log_half).map(|shift| (shift.exp_power_of_2(log_half) - Val::ONE).inverse())
}
