//! What ties a segment's first and last rows to the committed states.

use p3_dft::TwoAdicSubgroupDft;
use p3_field::{Field, PrimeCharacteristicRing, TwoAdicField};
use p3_matrix::bitrev::BitReversibleMatrix;
use p3_matrix::dense::RowMajorMatrix;
use p3_maybe_rayon::prelude::*;
use p3_util::reverse_bits_len;
use zk_autograd_air::{Ext, Val};
use zk_autograd_verifier::Statement;

use super::LOG_SMALL;
use super::relation::Weights;
use crate::memory;
use crate::state::{States, parts};
use crate::words::{Dft, Polynomials, on_small_coset, padded, shifts};

/// The ties' right-hand sides, weighted: the states before the segment, and those after it at X / g^(T-1).
pub(super) struct Ties {
    /// N + k coefficients of each, over the extension.
    sides: [Vec<Ext>; 2],
}

impl Ties {
    pub(super) fn new(statement: &Statement, state_in: &States, state_out: &States, weights: &Weights<Ext>) -> Self {
        let shape = &statement.shape;
        let back = Val::two_adic_generator(shape.log_rows()).inverse().exp_u64((1_u64 << shape.log_steps) - 1);
        let side = |states: &States, weights: &[Ext], scale: Val| -> Vec<Ext> {
            let length = states.coefficients.first().map_or(0, Vec::len);
            let mut out = vec![Ext::ZERO; length];
            out.par_chunks_mut(1024).enumerate().for_each(|(chunk, out)| {
                let mut power = scale.exp_u64((chunk * 1024) as u64);
                for (offset, out) in out.iter_mut().enumerate() {
                    let index = chunk * 1024 + offset;
                    let sum: Ext =
                        states.coefficients.iter().zip(weights).map(|(list, weight)| *weight * list[index]).sum();
                    *out = sum * power;
                    power *= scale;
                }
            });
            out
        };
        Self { sides: [side(state_in, &weights.first, Val::ONE), side(state_out, &weights.last, back)] }
    }

    /// The values on one half. A polynomial of about N coefficients on n points is T transforms of N points, one for each step's
    /// coset: they stand side by side as four columns a step, step blocks in bit-reversed order, and go through one transform.
    pub(super) fn on_half(&self, dft: &Dft, statement: &Statement, half: usize) -> Vec<Val> {
        let shape = &statement.shape;
        let (params, steps) = (1_usize << shape.log_params, 1_usize << shape.log_steps);
        let width = TIE_COLUMNS * steps;
        let shift = shifts(shape.log_rows())[half];
        let generator = Val::two_adic_generator(shape.log_rows());
        let shifts: Vec<Val> = (0..steps)
            .map(|block| shift * generator.exp_u64(reverse_bits_len(block, shape.log_steps) as u64))
            .collect();
        let wraps: Vec<Val> = shifts.iter().map(|shift| shift.exp_power_of_2(shape.log_params)).collect();
        let mut matrix = memory::take(params * width);
        matrix.par_chunks_mut(256 * width).enumerate().for_each(|(chunk, rows)| {
            let mut powers: Vec<Val> = shifts.iter().map(|shift| shift.exp_u64((chunk * 256) as u64)).collect();
            for (offset, row) in rows.chunks_exact_mut(width).enumerate() {
                let index = chunk * 256 + offset;
                let [first, last] = [0, 1].map(|side| self.sides[side][index]);
                let high = [0, 1].map(|side| self.sides[side].get(params + index).copied());
                for (step, places) in row.chunks_exact_mut(TIE_COLUMNS).enumerate() {
                    for ((low, high), place) in [first, last].iter().zip(high).zip(places.chunks_exact_mut(2)) {
                        let value = high.map_or(*low, |high| *low + high * wraps[step]);
                        place.copy_from_slice(&parts(value * powers[step]));
                    }
                    powers[step] *= shifts[step];
                }
            }
        });
        dft.dft_batch(RowMajorMatrix::new(matrix, width)).bit_reverse_rows().values
    }

    /// The values on the small coset, in natural order.
    pub(super) fn on_small(&self, dft: &Dft, shift: Val) -> Vec<Val> {
        let length = self.sides[0].len().next_multiple_of(1 << LOG_SMALL);
        let width = padded(TIE_COLUMNS);
        let mut low = Val::zero_vec(length * width);
        for (index, row) in low.chunks_exact_mut(width).enumerate() {
            for (side, place) in self.sides.iter().zip(row.chunks_exact_mut(2)) {
                if let Some(value) = side.get(index) {
                    place.copy_from_slice(&parts(*value));
                }
            }
        }
        let polynomials = Polynomials { low: RowMajorMatrix::new(low, width), high: Vec::new() };
        on_small_coset(dft, &polynomials, LOG_SMALL, shift)
    }
}

/// Base columns of the ties at one point.
pub(super) const TIE_COLUMNS: usize = 4;
