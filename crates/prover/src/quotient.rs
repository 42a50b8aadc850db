//! The quotient: the relations' weighted sum, divided by what vanishes where they hold.
//!
//! Masked columns have n + k coefficients and relations have degree 3, so the quotient has up to 2n + 3k - 3 coefficients: more than the
//! 2n points of the words determine. The rest comes from a small coset E of 4k points. On the words' coset t the values give
//! `A = Q mod (X^2n - t^2n)`, so `Q = A + (X^2n - t^2n) B` with B of degree below 3k; E gives B. Then `Q = q0 + X^n q1`, and a random
//! polynomial b of k coefficients hides the parts: `q0 + X^n b` and `q1 - b`.

mod hidden_parts;
mod relation;
mod ties;

use p3_dft::TwoAdicSubgroupDft;
use p3_field::{Field, PrimeCharacteristicRing, TwoAdicField};
use p3_matrix::bitrev::BitReversibleMatrix;
use p3_matrix::dense::RowMajorMatrix;
use p3_maybe_rayon::prelude::*;
use p3_util::{log2_strict_usize, reverse_bits_len};
use zk_autograd_air::constants::PERIODIC;
use zk_autograd_air::field::from_signed;
use zk_autograd_air::{Collected, Ext, Val};
use zk_autograd_verifier::Statement;
use zk_autograd_verifier::codec::extension;
use zk_autograd_verifier::composition::last_rows;
use zk_autograd_verifier::parameters::{LOG_TABLE, MASK};
use zk_autograd_verifier::table;

use self::hidden_parts::{dft_of_bit_reversed, parts_from_values, unshift};
use self::relation::{Block, Row, Weights, evaluate_row};
use self::ties::{TIE_COLUMNS, Ties};
use crate::coins::Seed;
use crate::error::ProveError;
use crate::memory;
use crate::packed::{LANES, PackedExt, gather, lanes, packed_extension};
use crate::prove::Progress;
use crate::state::{States, parts};
use crate::words::{Dft, Polynomials, Words, inverse_vanishing, on_small_coset, padded, shifts};

/// log2 of the small coset's points.
const LOG_SMALL: usize = log2_strict_usize(4 * MASK);

/// The columns and the ties that the quotient is made of.
pub struct Columns {
    /// Main columns, multiplicities and gradient.
    pub main: Words,
    /// The same on the small coset, and one row on there.
    pub main_small: [Vec<Val>; 2],
    /// The lookups' columns.
    pub helpers: Words,
    /// The same on the small coset, and one row on there.
    pub helpers_small: [Vec<Val>; 2],
}

/// The small coset's shift, and that of the coset one row on.
#[must_use]
pub fn small_shifts(log_rows: usize) -> [Val; 2] {
    let shift = Val::GENERATOR.square();
    [shift, shift * Val::two_adic_generator(log_rows)]
}

/// The values of polynomials on the small coset and one row on.
#[must_use]
pub fn small(dft: &Dft, polynomials: &Polynomials, log_rows: usize) -> [Vec<Val>; 2] {
    small_shifts(log_rows).map(|shift| on_small_coset(dft, polynomials, LOG_SMALL, shift))
}

/// The words of the quotient's two parts and of the batch's mask, together.
///
/// `mask` is the number of random coefficients of the parts.
///
/// # Errors
/// [`ProveError::Cancelled`].
#[allow(clippy::too_many_arguments)]
pub fn words_of_parts(
    dft: &Dft,
    statement: &Statement,
    columns: &Columns,
    state_in: &States,
    state_out: &States,
    lookup: Ext,
    composition: Ext,
    mask: usize,
    seed: &Seed,
    progress: &Progress,
) -> Result<Words, ProveError> {
    let shape = &statement.shape;
    let (log_rows, rows) = (shape.log_rows(), 1_usize << shape.log_rows());
    let weights = Weights::new(statement, composition);
    let ties = Ties::new(statement, state_in, state_out, &weights);
    let ties_small = ties.on_small(dft, small_shifts(log_rows)[0]);

    // The parts of Q on the words' two halves, as columns 0 1 and 2 3 of one matrix.
    let width = padded(4);
    let mut values = memory::cleared(rows * width);
    for half in 0..2 {
        progress.check()?;
        evaluate_half(dft, statement, columns, &ties, &weights, lookup, half, &mut values, width);
    }
    progress.check()?;
    let mut coefficients = dft_of_bit_reversed(dft, values, width);
    unshift(&mut coefficients, log_rows, width);
    let small = evaluate_small(dft, statement, columns, &ties_small, &weights, lookup);
    progress.check()?;
    Ok(parts_from_values(dft, statement, coefficients, width, &small, mask, seed))
}

fn blocks(dft: &Dft, statement: &Statement, shift: Val, rows_inverse: Val) -> Vec<Block> {
    let shape = &statement.shape;
    let steps = 1_usize << shape.log_steps;
    let start = shift.exp_power_of_2(shape.log_params);
    let table: Vec<Val> = statement.constants.periodic.iter().flatten().map(|value| from_signed(*value)).collect();
    let coefficients = dft.idft_batch(RowMajorMatrix::new(table, PERIODIC));
    let values = dft.coset_dft_batch(coefficients, start).bit_reverse_rows();
    let last = last_rows(shape.log_params, shape.log_steps);
    let generator = Val::two_adic_generator(shape.log_steps);
    (0..steps)
        .map(|position| {
            let power = start * generator.exp_u64(reverse_bits_len(position, shape.log_steps) as u64);
            let mut periodic = [Val::ZERO; PERIODIC];
            periodic.copy_from_slice(&values.values[position * PERIODIC..(position + 1) * PERIODIC]);
            Block {
                periodic,
                between: (power - last) * rows_inverse,
                first: (power - Val::ONE).inverse(),
                last: (power - last).inverse(),
                rows: rows_inverse,
            }
        })
        .collect()
}

#[allow(clippy::too_many_arguments)]
fn evaluate_half(
    dft: &Dft,
    statement: &Statement,
    columns: &Columns,
    ties: &Ties,
    weights: &Weights<Ext>,
    lookup: Ext,
    half: usize,
    out: &mut [Val],
    width: usize,
) {
    let shape = &statement.shape;
    let log_rows = shape.log_rows();
    let shift = shifts(log_rows)[half];
    let blocks = blocks(dft, statement, shift, inverse_vanishing(log_rows)[half]);
    let log_period = log_rows - LOG_TABLE;
    let table = dft
        .coset_dft_batch(RowMajorMatrix::new(table::coefficients().to_vec(), 1), shift.exp_power_of_2(log_period))
        .bit_reverse_rows()
        .values;
    let weights: Weights<PackedExt> = weights.broadcast();
    let challenge = PackedExt::from(lookup);
    let (main, helpers) = (&columns.main.halves[half], &columns.helpers.halves[half]);
    let ties = ties.on_half(dft, statement, half);
    let (main_width, helpers_width, ties_width) =
        (columns.main.width, columns.helpers.width, TIE_COLUMNS << shape.log_steps);
    let row_mask = (1_usize << log_rows) - 1;
    let param_mask = (1_usize << shape.log_params) - 1;
    out.par_chunks_mut(1024 * width).enumerate().for_each(|(chunk, out)| {
        let mut scratch = Collected::default();
        let mut row_columns = Vec::with_capacity(shape.main + shape.gradient);
        let mut row_helpers = Vec::with_capacity(shape.helpers);
        let mut states_next = Vec::with_capacity(shape.states);
        for (group, out) in out.chunks_exact_mut(LANES * width).enumerate() {
            let position = chunk * 1024 + group * LANES;
            let here: [usize; LANES] = core::array::from_fn(|lane| position + lane);
            let next: [usize; LANES] =
                here.map(|place| reverse_bits_len((reverse_bits_len(place, log_rows) + 1) & row_mask, log_rows));
            let (main_here, main_next) = (here.map(|p| p * main_width), next.map(|p| p * main_width));
            let (helpers_here, helpers_next) = (here.map(|p| p * helpers_width), next.map(|p| p * helpers_width));
            let step = position >> shape.log_params;
            let ties_here = here.map(|p| (p & param_mask) * ties_width + TIE_COLUMNS * step);
            let pair = |values: &[Val], places: &[usize; LANES], column: usize| -> PackedExt {
                packed_extension(gather(values, places, column), gather(values, places, column + 1))
            };
            row_columns.clear();
            row_columns.extend((0..shape.main - 1).map(|column| gather(main, &main_here, column)));
            row_columns.extend((0..shape.gradient).map(|column| gather(main, &main_here, shape.main + column)));
            row_helpers.clear();
            row_helpers.extend((0..shape.helpers).map(|index| pair(helpers, &helpers_here, 2 * index)));
            states_next.clear();
            states_next.extend((0..shape.states).map(|column| gather(main, &main_next, column)));
            let row = Row {
                columns: &row_columns,
                multiplicity: gather(main, &main_here, shape.main - 1),
                table: gather(&table, &here.map(|place| place >> log_period), 0),
                helpers: &row_helpers,
                sum: pair(helpers, &helpers_here, 2 * shape.helpers),
                sum_next: pair(helpers, &helpers_next, 2 * shape.helpers),
                states_next: &states_next,
                tie_first: pair(&ties, &ties_here, 0),
                tie_last: pair(&ties, &ties_here, 2),
            };
            let block = &blocks[step];
            let value = evaluate_row(&statement.air, &weights, challenge, block, &row, &mut scratch);
            for (lane, element) in lanes(value).enumerate() {
                let at = lane * width + 2 * half;
                out[at..at + 2].copy_from_slice(&parts(element));
            }
        }
    });
}

/// The quotient on the small coset, in natural order.
fn evaluate_small(
    dft: &Dft,
    statement: &Statement,
    columns: &Columns,
    ties: &[Val],
    weights: &Weights<Ext>,
    lookup: Ext,
) -> Vec<Ext> {
    let shape = &statement.shape;
    let shift = small_shifts(shape.log_rows())[0];
    let generator = Val::two_adic_generator(LOG_SMALL);
    let (main_width, helpers_width) = (columns.main.width, columns.helpers.width);
    let mut scratch = Collected::default();
    let pair = |row: &[Val], column: usize| extension(row[column], row[column + 1]);
    // The periodic columns are polynomials in x^N, whose values here are their own small problem.
    let periodic = periodic_coefficients(dft, statement);
    let table = table_on_small(dft, shape.log_rows());
    let last = last_rows(shape.log_params, shape.log_steps);
    (0..1_usize << LOG_SMALL)
        .map(|index| {
            let x = shift * generator.exp_u64(index as u64);
            let power = x.exp_power_of_2(shape.log_params);
            let rows = (x.exp_power_of_2(shape.log_rows()) - Val::ONE).inverse();
            let mut values = [Val::ZERO; PERIODIC];
            for row in periodic.chunks_exact(PERIODIC).rev() {
                for (value, coefficient) in values.iter_mut().zip(row) {
                    *value = *value * power + *coefficient;
                }
            }
            let block = Block {
                periodic: values,
                between: (power - last) * rows,
                first: (power - Val::ONE).inverse(),
                last: (power - last).inverse(),
                rows,
            };
            let here = &columns.main_small[0][index * main_width..];
            let next = &columns.main_small[1][index * main_width..];
            let helpers = &columns.helpers_small[0][index * helpers_width..];
            let helpers_next = &columns.helpers_small[1][index * helpers_width..];
            let mut row_columns = here[..shape.main - 1].to_vec();
            row_columns.extend_from_slice(&here[shape.main..shape.main + shape.gradient]);
            let row_helpers: Vec<Ext> = (0..shape.helpers).map(|index| pair(helpers, 2 * index)).collect();
            let row = Row {
                columns: &row_columns,
                multiplicity: here[shape.main - 1],
                table: table[index],
                helpers: &row_helpers,
                sum: pair(helpers, 2 * shape.helpers),
                sum_next: pair(helpers_next, 2 * shape.helpers),
                states_next: &next[..shape.states],
                tie_first: pair(&ties[index * padded(4)..], 0),
                tie_last: pair(&ties[index * padded(4)..], 2),
            };
            evaluate_row(&statement.air, weights, lookup, &block, &row, &mut scratch)
        })
        .collect()
}

/// The table's values on the small coset. They depend on x^(n / 2^16), which runs through a smaller coset.
fn table_on_small(dft: &Dft, log_rows: usize) -> Vec<Val> {
    let log_period = log_rows - LOG_TABLE;
    let width = padded(1);
    let mut low = Val::zero_vec(width << LOG_TABLE);
    for (row, coefficient) in low.chunks_exact_mut(width).zip(table::coefficients()) {
        row[0] = *coefficient;
    }
    let polynomials = Polynomials { low: RowMajorMatrix::new(low, width), high: Vec::new() };
    let log_size = LOG_SMALL - log_period;
    let shift = small_shifts(log_rows)[0].exp_power_of_2(log_period);
    let values = on_small_coset(dft, &polynomials, log_size, shift);
    (0..1_usize << LOG_SMALL).map(|index| values[(index & ((1 << log_size) - 1)) * width]).collect()
}

fn periodic_coefficients(dft: &Dft, statement: &Statement) -> Vec<Val> {
    let table: Vec<Val> = statement.constants.periodic.iter().flatten().map(|value| from_signed(*value)).collect();
    dft.idft_batch(RowMajorMatrix::new(table, PERIODIC)).values
}
