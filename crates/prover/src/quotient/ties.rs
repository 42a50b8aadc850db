//! What ties the first and last rows of lines to committed columns: a segment's to its states.

use p3_dft::TwoAdicSubgroupDft;
use p3_field::{Field, PrimeCharacteristicRing, TwoAdicField};
use p3_matrix::bitrev::BitReversibleMatrix;
use p3_matrix::dense::RowMajorMatrix;
use p3_maybe_rayon::prelude::*;
use p3_util::reverse_bits_len;
use zk_autograd_air::{Ext, Val};
use zk_autograd_verifier::Lengths;
use zk_autograd_verifier::table::{Layout, Place, Tie};

use crate::memory;
use crate::small::LOG_SMALL;
use crate::state::parts;
use crate::table::Places;
use crate::words::{Dft, Polynomials, on_small_coset, padded, shifts};

/// The ties' right-hand sides, weighted: the columns of lines on first rows, and those on last rows
/// at X / g^(T-1).
pub(super) struct Ties {
    /// N + k coefficients of each, over the extension.
    sides: [Vec<Ext>; 2],
}

impl Ties {
    /// From the committed columns of lines, in the order of their trees, and the weights of all
    /// relations.
    pub(super) fn new(lengths: &Lengths, layout: &Layout, ties: &[Tie], lines: &[&[Val]], weights: &[Ext]) -> Self {
        let numbers = Places::new(layout).lines;
        let back = Val::two_adic_generator(lengths.log_rows()).inverse().exp_u64((1_u64 << lengths.log_steps) - 1);
        let side = |place: Place, scale: Val| -> Vec<Ext> {
            let own = ties.iter().filter(|tie| tie.place == place);
            let columns: Vec<(&[Val], Ext)> = own
                .map(|tie| {
                    let number = numbers[layout.openings[tie.opening].tree].expect("ties are to columns of lines");
                    (lines[number], weights[tie.relation])
                })
                .collect();
            let length = columns.iter().map(|(list, _)| list.len()).max().unwrap_or(1 << lengths.log_params);
            let mut out = vec![Ext::ZERO; length];
            out.par_chunks_mut(1024).enumerate().for_each(|(chunk, out)| {
                let mut power = scale.exp_u64((chunk * 1024) as u64);
                for (offset, out) in out.iter_mut().enumerate() {
                    let index = chunk * 1024 + offset;
                    let sum: Ext =
                        columns.iter().filter_map(|(list, weight)| list.get(index).map(|value| *weight * *value)).sum();
                    *out = sum * power;
                    power *= scale;
                }
            });
            out
        };
        Self { sides: [side(Place::First, Val::ONE), side(Place::Last, back)] }
    }

    /// The values on one half. A polynomial of about N coefficients on n points is T transforms of N points, one for each step's
    /// coset: they stand side by side as four columns a step, step blocks in bit-reversed order, and go through one transform.
    pub(super) fn on_half(&self, dft: &Dft, lengths: &Lengths, half: usize) -> Vec<Val> {
        let (params, steps) = (1_usize << lengths.log_params, 1_usize << lengths.log_steps);
        let width = TIE_COLUMNS * steps;
        let shift = shifts(lengths.log_rows())[half];
        let generator = Val::two_adic_generator(lengths.log_rows());
        let shifts: Vec<Val> = (0..steps)
            .map(|block| shift * generator.exp_u64(reverse_bits_len(block, lengths.log_steps) as u64))
            .collect();
        let wraps: Vec<Val> = shifts.iter().map(|shift| shift.exp_power_of_2(lengths.log_params)).collect();
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
        let length = self.sides[0].len().max(self.sides[1].len()).next_multiple_of(1 << LOG_SMALL);
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
