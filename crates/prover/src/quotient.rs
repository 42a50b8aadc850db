//! The quotient: the relations' weighted sum, divided by what vanishes where they hold.
//!
//! Masked columns have n + k coefficients and relations have degree 3, so the quotient has up to 2n + 3k - 3 coefficients: more than the
//! 2n points of the words determine. The rest comes from a small coset E of 4k points. On the words' coset t the values give
//! `A = Q mod (X^2n - t^2n)`, so `Q = A + (X^2n - t^2n) B` with B of degree below 3k; E gives B. Then `Q = q0 + X^n q1`, and a random
//! polynomial b of k coefficients hides the parts: `q0 + X^n b` and `q1 - b`.

mod hidden_parts;
mod relation;
mod ties;

use core::slice;

use p3_dft::TwoAdicSubgroupDft;
use p3_field::{Field, PrimeCharacteristicRing, TwoAdicField};
use p3_matrix::bitrev::BitReversibleMatrix;
use p3_matrix::dense::RowMajorMatrix;
use p3_maybe_rayon::prelude::*;
use p3_util::reverse_bits_len;
use zk_autograd_air::{Collected, Ext, Val};
use zk_autograd_verifier::codec::extension;
use zk_autograd_verifier::composition::last_rows;
use zk_autograd_verifier::parameters::LOG_TABLE;
use zk_autograd_verifier::range;
use zk_autograd_verifier::table::{Layout, Plan, Row};
use zk_autograd_verifier::{Lengths, Table};

use self::hidden_parts::{dft_of_bit_reversed, parts_from_values, unshift};
use self::relation::{Block, broadcast, evaluate_row};
use self::ties::{TIE_COLUMNS, Ties};
use crate::coins::Seed;
use crate::error::ProveError;
use crate::matrix::Matrix;
use crate::memory;
use crate::packed::{LANES, Packed, PackedExt, gather, lanes, packed_extension};
use crate::progress::Progress;
use crate::small::{LOG_SMALL, small_shift};
use crate::state::parts;
use crate::table::{Reads, Slot};
use crate::words::{Dft, Polynomials, Words, inverse_vanishing, on_small_coset, padded, shifts};

/// Rows that one thread evaluates at a time.
const CHUNK: usize = 1024;

/// What the quotient is made of: a table's relations, and the columns that they read.
pub struct Quotient<'a, T> {
    dft: &'a Dft,
    table: &'a T,
    lengths: &'a Lengths,
    reads: &'a Reads,
    matrices: &'a [Matrix],
    periodic: Vec<Vec<Val>>,
    challenges: &'a [Ext],
    weights: Vec<Ext>,
    ties: Ties,
}

/// The elements of a row, and room for its relations.
struct Scratch<V, E> {
    base: Vec<V>,
    extension: Vec<E>,
    relations: Collected<V>,
}

impl<V, E> Default for Scratch<V, E> {
    fn default() -> Self {
        Self { base: Vec::new(), extension: Vec::new(), relations: Collected::default() }
    }
}

impl<'a, T: Table> Quotient<'a, T> {
    /// Prepares the quotient. `challenges` are those of all rounds; `lines` are the committed
    /// columns of lines.
    ///
    /// # Panics
    /// If no round has a challenge: the last one joins the relations.
    #[must_use]
    pub fn new(
        dft: &'a Dft,
        table: &'a T,
        layout: &Layout,
        reads: &'a Reads,
        (matrices, lines): (&'a [Matrix], &[&[Val]]),
        challenges: &'a [Ext],
    ) -> Self {
        let (composition, challenges) = challenges.split_last().expect("a challenge that joins the relations");
        let plan = Plan::new(table, layout);
        let weights: Vec<Ext> = composition.powers().take(plan.relations).collect();
        let lengths = table.lengths();
        let ties = Ties::new(lengths, layout, &plan.ties, lines, &weights);
        Self { dft, table, lengths, reads, matrices, periodic: table.periodic(), challenges, weights, ties }
    }

    /// The words of the quotient's two parts and of the batch's mask, together. `mask` is the
    /// number of random coefficients of the parts.
    ///
    /// # Errors
    /// [`ProveError::Cancelled`].
    pub fn words(&self, mask: usize, seed: &Seed, progress: &Progress) -> Result<Words, ProveError> {
        let log_rows = self.lengths.log_rows();
        // The parts of Q on the words' two halves, as columns 0 1 and 2 3 of one matrix.
        let width = padded(4);
        let mut values = memory::cleared(width << log_rows);
        for half in 0..2 {
            progress.check()?;
            self.evaluate_half(half, &mut values, width);
        }
        progress.check()?;
        let mut coefficients = dft_of_bit_reversed(self.dft, values, width);
        unshift(&mut coefficients, log_rows, width);
        let small = self.evaluate_small();
        progress.check()?;
        Ok(parts_from_values(self.dft, self.lengths, (coefficients, width), &small, mask, seed))
    }

    /// The periodic columns' polynomials in x^N, row by row; and how many columns there are.
    fn periodic_coefficients(&self) -> (Vec<Val>, usize) {
        let width = self.periodic.first().map_or(0, Vec::len);
        if width == 0 {
            return (Vec::new(), 0);
        }
        let values: Vec<Val> = self.periodic.iter().flatten().copied().collect();
        (self.dft.idft_batch(RowMajorMatrix::new(values, width)).values, width)
    }

    fn blocks(&self, shift: Val, rows_inverse: Val) -> Vec<Block<Packed>> {
        let Lengths { log_params, log_steps, .. } = *self.lengths;
        let start = shift.exp_power_of_2(log_params);
        let (coefficients, width) = self.periodic_coefficients();
        let values = if width == 0 {
            Vec::new()
        } else {
            self.dft.coset_dft_batch(RowMajorMatrix::new(coefficients, width), start).bit_reverse_rows().values
        };
        let last = last_rows(log_params, log_steps);
        let generator = Val::two_adic_generator(log_steps);
        (0..1_usize << log_steps)
            .map(|position| {
                let power = start * generator.exp_u64(reverse_bits_len(position, log_steps) as u64);
                let periodic = values[position * width..(position + 1) * width].to_vec();
                Block::new(periodic, power, last, rows_inverse).broadcast()
            })
            .collect()
    }

    fn evaluate_half(&self, half: usize, out: &mut [Val], width: usize) {
        let log_rows = self.lengths.log_rows();
        let shift = shifts(log_rows)[half];
        let blocks = self.blocks(shift, inverse_vanishing(log_rows)[half]);
        let log_period = log_rows - LOG_TABLE;
        let range = self
            .dft
            .coset_dft_batch(RowMajorMatrix::new(range::coefficients().to_vec(), 1), shift.exp_power_of_2(log_period))
            .bit_reverse_rows()
            .values;
        let (weights, challenges) = (broadcast(&self.weights), broadcast(self.challenges));
        let ties = self.ties.on_half(self.dft, self.lengths, half);
        let ties_width = TIE_COLUMNS << self.lengths.log_steps;
        let param_mask = (1_usize << self.lengths.log_params) - 1;
        let rows_on = RowsOn::new(self.reads, log_rows, |matrix| self.matrices[matrix].words.width);
        let slots: Vec<&[Val]> =
            self.reads.slots.iter().map(|slot| &self.matrices[slot.matrix].words.halves[half][..]).collect();
        out.par_chunks_mut(CHUNK * width).enumerate().for_each(|(chunk, out)| {
            let mut scratch = Scratch::default();
            let mut places = vec![[0; LANES]; slots.len()];
            for (group, out) in out.chunks_exact_mut(LANES * width).enumerate() {
                let position = chunk * CHUNK + group * LANES;
                let here: [usize; LANES] = core::array::from_fn(|lane| position + lane);
                rows_on.places(&here, &mut places);
                let step = position >> self.lengths.log_params;
                let ties_here = here.map(|p| (p & param_mask) * ties_width + TIE_COLUMNS * step);
                scratch.base.clear();
                for run in &self.reads.base {
                    let (values, places) = (slots[run.slot], &places[run.slot]);
                    scratch
                        .base
                        .extend((run.first..run.first + run.count).map(|column| gather(values, places, column)));
                }
                scratch.extension.clear();
                for run in &self.reads.extension {
                    let (values, places) = (slots[run.slot], &places[run.slot]);
                    scratch.extension.extend((0..run.count).map(|i| pair(values, places, run.first + 2 * i)));
                }
                let block = &blocks[step];
                let row = Row {
                    base: &scratch.base,
                    extension: &scratch.extension,
                    periodic: &block.periodic,
                    range: gather(&range, &here.map(|place| place >> log_period), 0),
                };
                let ties = [pair(&ties, &ties_here, 0), pair(&ties, &ties_here, 2)];
                let value = evaluate_row(
                    self.table,
                    (&weights, &challenges),
                    &row,
                    ties,
                    &block.divisors,
                    &mut scratch.relations,
                );
                for (lane, element) in lanes(value).enumerate() {
                    let at = lane * width + 2 * half;
                    out[at..at + 2].copy_from_slice(&parts(element));
                }
            }
        });
    }

    /// The quotient on the small coset, in natural order.
    fn evaluate_small(&self) -> Vec<Ext> {
        let Lengths { log_params, log_steps, .. } = *self.lengths;
        let log_rows = self.lengths.log_rows();
        let (shift, generator) = (small_shift(), Val::two_adic_generator(LOG_SMALL));
        let ties = self.ties.on_small(self.dft, shift);
        // The periodic columns are polynomials in x^N, whose values here are their own small
        // problem.
        let (periodic, periodic_width) = self.periodic_coefficients();
        let range = range_on_small(self.dft, log_rows);
        let last = last_rows(log_params, log_steps);
        let slots = self.small_slots();
        let mut scratch = Scratch::default();
        (0..1_usize << LOG_SMALL)
            .map(|index| {
                let x = shift * generator.exp_u64(index as u64);
                let power = x.exp_power_of_2(log_params);
                let rows = (x.exp_power_of_2(log_rows) - Val::ONE).inverse();
                let mut values = vec![Val::ZERO; periodic_width];
                for row in periodic.chunks_exact(periodic_width.max(1)).rev() {
                    for (value, coefficient) in values.iter_mut().zip(row) {
                        *value = *value * power + *coefficient;
                    }
                }
                let block = Block::new(values, power, last, rows);
                scratch.base.clear();
                for run in &self.reads.base {
                    let (values, width) = slots[run.slot];
                    scratch.base.extend_from_slice(&values[index * width + run.first..][..run.count]);
                }
                scratch.extension.clear();
                for run in &self.reads.extension {
                    let (values, width) = slots[run.slot];
                    let pairs = values[index * width + run.first..][..2 * run.count].chunks_exact(2);
                    scratch.extension.extend(pairs.map(|pair| extension(pair[0], pair[1])));
                }
                let row = Row {
                    base: &scratch.base,
                    extension: &scratch.extension,
                    periodic: &block.periodic,
                    range: range[index],
                };
                let ties = &ties[index * padded(TIE_COLUMNS)..];
                let ties = [extension(ties[0], ties[1]), extension(ties[2], ties[3])];
                evaluate_row(
                    self.table,
                    (&self.weights, self.challenges),
                    &row,
                    ties,
                    &block.divisors,
                    &mut scratch.relations,
                )
            })
            .collect()
    }

    /// Each slot's values on the small coset, and their width.
    fn small_slots(&self) -> Vec<(&[Val], usize)> {
        let mut rest: Vec<slice::Iter<'_, Vec<Val>>> = self.matrices.iter().map(|matrix| matrix.small.iter()).collect();
        let mut next = |slot: &Slot| {
            let values = rest[slot.matrix].next().expect("the matrix was made for these slots");
            (&values[..], self.matrices[slot.matrix].words.width)
        };
        self.reads.slots.iter().map(&mut next).collect()
    }
}

/// Elements of the extension, one in each lane.
#[inline]
fn pair(values: &[Val], places: &[usize; LANES], column: usize) -> PackedExt {
    packed_extension(gather(values, places, column), gather(values, places, column + 1))
}

/// Where the rows of each slot begin.
struct RowsOn {
    log_rows: usize,
    /// How many rows on, then the slots that are, with their widths.
    slots: Vec<(i64, Vec<(usize, usize)>)>,
}

impl RowsOn {
    fn new(reads: &Reads, log_rows: usize, width: impl Fn(usize) -> usize) -> Self {
        let mut slots: Vec<(i64, Vec<(usize, usize)>)> = Vec::new();
        for (number, slot) in reads.slots.iter().enumerate() {
            let own = (number, width(slot.matrix));
            match slots.iter_mut().find(|(rows, _)| *rows == slot.rows) {
                Some((_, list)) => list.push(own),
                None => slots.push((slot.rows, vec![own])),
            }
        }
        Self { log_rows, slots }
    }

    /// The places of some rows in each slot. Rows are numbered in bit-reversed order.
    #[inline]
    fn places(&self, here: &[usize; LANES], places: &mut [[usize; LANES]]) {
        let mask = (1_usize << self.log_rows) - 1;
        for (rows, slots) in &self.slots {
            let moved = if *rows == 0 {
                *here
            } else {
                let rows = usize::try_from(rows.rem_euclid(1 << self.log_rows)).unwrap_or(0);
                let reverse = |place| reverse_bits_len(place, self.log_rows);
                here.map(|place| reverse((reverse(place) + rows) & mask))
            };
            for (slot, width) in slots {
                places[*slot] = moved.map(|place| place * width);
            }
        }
    }
}

/// The looked-up table's values on the small coset. They depend on x^(n / 2^16), which runs through
/// a smaller coset.
fn range_on_small(dft: &Dft, log_rows: usize) -> Vec<Val> {
    let log_period = log_rows - LOG_TABLE;
    let width = padded(1);
    let mut low = Val::zero_vec(width << LOG_TABLE);
    for (row, coefficient) in low.chunks_exact_mut(width).zip(range::coefficients()) {
        row[0] = *coefficient;
    }
    let polynomials = Polynomials { low: RowMajorMatrix::new(low, width), high: Vec::new() };
    let log_size = LOG_SMALL - log_period;
    let values = on_small_coset(dft, &polynomials, log_size, small_shift().exp_power_of_2(log_period));
    (0..1_usize << LOG_SMALL).map(|index| values[(index & ((1 << log_size) - 1)) * width]).collect()
}
