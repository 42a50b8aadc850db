//! The quotient: the relations' weighted sum, divided by what vanishes where they hold.
//!
//! Masked columns have n + k coefficients and relations have degree 3, so the quotient has up to 2n + 3k - 3 coefficients: more than the
//! 2n points of the words determine. The rest comes from a small coset E of 4k points. On the words' coset t the values give
//! `A = Q mod (X^2n - t^2n)`, so `Q = A + (X^2n - t^2n) B` with B of degree below 3k; E gives B. Then `Q = q0 + X^n q1`, and a random
//! polynomial b of k coefficients hides the parts: `q0 + X^n b` and `q1 - b`.

use p3_dft::TwoAdicSubgroupDft;
use p3_field::{Algebra, Field, PrimeCharacteristicRing, TwoAdicField};
use p3_matrix::bitrev::BitReversibleMatrix;
use p3_matrix::dense::RowMajorMatrix;
use p3_maybe_rayon::prelude::*;
use p3_util::{log2_strict_usize, reverse_bits_len};
use zk_autograd_air::constants::PERIODIC;
use zk_autograd_air::field::from_signed;
use zk_autograd_air::{Air, Collected, Ext, Periodic, Val, evaluate};
use zk_autograd_verifier::Statement;
use zk_autograd_verifier::codec::extension;
use zk_autograd_verifier::composition::last_rows;
use zk_autograd_verifier::parameters::{LOG_TABLE, MASK};
use zk_autograd_verifier::table;
use zk_autograd_verifier::verify::QUOTIENT_COLUMNS;

use crate::coins::Seed;
use crate::error::ProveError;
use crate::memory;
use crate::packed::{LANES, PackedExt, gather, lanes, packed_extension};
use crate::prove::Progress;
use crate::state::{States, parts};
use crate::words::{Dft, Polynomials, Words, inverse_vanishing, on_small_coset, padded, shifts, words};

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

/// The powers of the composition challenge, by relation.
struct Weights<E> {
    zeros: Vec<E>,
    lookups: Vec<E>,
    between: Vec<E>,
    first: Vec<E>,
    last: Vec<E>,
}

impl Weights<Ext> {
    fn new(statement: &Statement, challenge: Ext) -> Self {
        let shape = &statement.shape;
        let mut powers = challenge.powers();
        let mut take = |count: usize| -> Vec<Ext> { powers.by_ref().take(count).collect() };
        Self {
            zeros: take(shape.zeros),
            lookups: take(shape.helpers + 1),
            between: take(shape.states),
            first: take(shape.states),
            last: take(shape.states),
        }
    }

    fn broadcast<E: From<Ext>>(&self) -> Weights<E> {
        let all = |list: &[Ext]| list.iter().map(|weight| E::from(*weight)).collect();
        Weights {
            zeros: all(&self.zeros),
            lookups: all(&self.lookups),
            between: all(&self.between),
            first: all(&self.first),
            last: all(&self.last),
        }
    }
}

/// What depends on x^N alone, for the points of a block of rows.
#[derive(Clone, Copy)]
struct Block {
    periodic: [Val; PERIODIC],
    /// (x^N - last) / (x^n - 1)
    between: Val,
    /// 1 / (x^N - 1)
    first: Val,
    /// 1 / (x^N - last)
    last: Val,
    /// 1 / (x^n - 1)
    rows: Val,
}

struct Row<'a, V, E> {
    columns: &'a [V],
    multiplicity: V,
    table: V,
    helpers: &'a [E],
    sum: E,
    sum_next: E,
    states_next: &'a [V],
    tie_first: E,
    tie_last: E,
}

#[inline]
fn evaluate_row<V, E>(
    air: &Air,
    weights: &Weights<E>,
    challenge: E,
    block: &Block,
    row: &Row<'_, V, E>,
    scratch: &mut Collected<V>,
) -> E
where
    V: PrimeCharacteristicRing + Copy + From<Val>,
    E: Algebra<V> + Copy,
{
    scratch.clear();
    let periodic = Periodic::from_array(block.periodic.map(V::from));
    evaluate(air, row.columns, &periodic, scratch);
    let mut everywhere = E::ZERO;
    for (zero, weight) in scratch.zeros.iter().zip(&weights.zeros) {
        everywhere += *weight * *zero;
    }
    let mut lookup_weights = weights.lookups.iter();
    zk_autograd_verifier::lookups::relations(
        &scratch.ranges,
        row.table,
        row.multiplicity,
        row.helpers,
        row.sum,
        row.sum_next,
        challenge,
        |value| {
            if let Some(weight) = lookup_weights.next() {
                everywhere += value * *weight;
            }
        },
    );
    let mut between = E::ZERO;
    let mut first = E::ZERO - row.tie_first;
    let mut last = E::ZERO - row.tie_last;
    for (index, next) in scratch.nexts.iter().enumerate() {
        between += weights.between[index] * (row.states_next[index] - *next);
        first += weights.first[index] * row.columns[index];
        last += weights.last[index] * *next;
    }
    everywhere * V::from(block.rows)
        + between * V::from(block.between)
        + first * V::from(block.first)
        + last * V::from(block.last)
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

/// The ties' right-hand sides, weighted: the states before the segment, and those after it at X / g^(T-1).
struct Ties {
    /// N + k coefficients of each, over the extension.
    sides: [Vec<Ext>; 2],
}

impl Ties {
    fn new(statement: &Statement, state_in: &States, state_out: &States, weights: &Weights<Ext>) -> Self {
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
    fn on_half(&self, dft: &Dft, statement: &Statement, half: usize) -> Vec<Val> {
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
    fn on_small(&self, dft: &Dft, shift: Val) -> Vec<Val> {
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
const TIE_COLUMNS: usize = 4;

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

/// The inverse transform of values in bit-reversed order.
fn dft_of_bit_reversed(dft: &Dft, values: Vec<Val>, width: usize) -> Vec<Val> {
    let mut matrix = RowMajorMatrix::new(values, width);
    p3_matrix::util::reverse_matrix_index_bits(&mut matrix);
    dft.idft_batch(matrix).values
}

/// From f(t X) to f on each half.
fn unshift(coefficients: &mut [Val], log_rows: usize, width: usize) {
    let inverses = shifts(log_rows).map(|shift| shift.inverse());
    let chunk = 4096;
    coefficients.par_chunks_mut(chunk * width).enumerate().for_each(|(number, rows)| {
        let mut powers = inverses.map(|inverse| inverse.exp_u64((number * chunk) as u64));
        for row in rows.chunks_exact_mut(width) {
            for half in 0..2 {
                row[2 * half] *= powers[half];
                row[2 * half + 1] *= powers[half];
                powers[half] *= inverses[half];
            }
        }
    });
}

/// The words of q0 + X^n b, q1 - b and the mask, from Q's remainders on the two halves (columns 0 1 and 2 3) and its values on the
/// small coset.
fn parts_from_values(
    dft: &Dft,
    statement: &Statement,
    halves: Vec<Val>,
    width: usize,
    small: &[Ext],
    mask: usize,
    seed: &Seed,
) -> Words {
    let shape = &statement.shape;
    let (log_rows, rows) = (shape.log_rows(), 1_usize << shape.log_rows());
    let wrap = shifts(log_rows)[0].exp_power_of_2(log_rows);
    let half_inverse = wrap.double().inverse();
    // With t^n = c on the first half and -c on the second: A = low + X^n high, a0 = low + c high, a1 = low - c high.
    let out_width = padded(QUOTIENT_COLUMNS);
    let high_rows = 4 * MASK;
    let mut low = memory::cleared(rows * out_width);
    low.par_chunks_mut(4096 * out_width).zip(halves.par_chunks(4096 * width)).for_each(|(out, values)| {
        for (out, row) in out.chunks_exact_mut(out_width).zip(values.chunks_exact(width)) {
            for part in 0..2 {
                out[part] = (row[part] + row[2 + part]).halve();
                out[2 + part] = (row[part] - row[2 + part]) * half_inverse;
            }
        }
    });
    memory::give(halves);
    let mut high = Val::zero_vec(high_rows.max(shape.enforced_length().saturating_sub(rows)) * out_width);

    // B on the small coset, then its coefficients.
    let shift = small_shifts(log_rows)[0];
    let overhang = overhang(dft, &low, out_width, log_rows, shift, small);
    let full_wrap = wrap.square();
    for (index, value) in overhang.iter().enumerate() {
        // X^2n B belongs to q1 at n + index; -t^2n B to q0 at index.
        let [first, second] = parts(*value);
        let [first_low, second_low] = parts(*value * full_wrap);
        low[index * out_width] -= first_low;
        low[index * out_width + 1] -= second_low;
        high[index * out_width + 2] += first;
        high[index * out_width + 3] += second;
    }
    let mut stream = seed.child("quotient").stream(0);
    for index in 0..mask {
        for part in 0..2 {
            let coin = stream.value();
            high[index * out_width + part] += coin;
            low[index * out_width + 2 + part] -= coin;
        }
    }
    if mask > 0 {
        let seed = seed.child("batch");
        let length = shape.enforced_length();
        low.par_chunks_mut(4096 * out_width).enumerate().for_each(|(chunk, rows)| {
            let mut stream = seed.stream(chunk as u64);
            for row in rows.chunks_exact_mut(out_width) {
                row[4] = stream.value();
                row[5] = stream.value();
            }
        });
        let mut stream = seed.stream(u64::MAX);
        for row in high.chunks_exact_mut(out_width).take(length.saturating_sub(rows)) {
            row[4] = stream.value();
            row[5] = stream.value();
        }
    }
    words(dft, Polynomials { low: RowMajorMatrix::new(low, out_width), high })
}

/// B's coefficients from Q's values on the small coset and A's coefficients (`low`: columns 0 1 the first n, 2 3 those after them).
fn overhang(dft: &Dft, low: &[Val], width: usize, log_rows: usize, shift: Val, small: &[Ext]) -> Vec<Ext> {
    let polynomials = Polynomials { low: RowMajorMatrix::new(memory::copied(low), width), high: Vec::new() };
    let remainders = on_small_coset(dft, &polynomials, LOG_SMALL, shift);
    memory::give(polynomials.low.values);
    let generator = Val::two_adic_generator(LOG_SMALL);
    let wrap = shifts(log_rows)[0].exp_power_of_2(log_rows + 1);
    let mut values = Val::zero_vec(padded(2) << LOG_SMALL);
    for (index, value) in small.iter().enumerate() {
        let x = shift * generator.exp_u64(index as u64);
        let row = &remainders[index * width..];
        let remainder = extension(row[0], row[1]) + extension(row[2], row[3]) * x.exp_power_of_2(log_rows);
        let divisor = (x.exp_power_of_2(log_rows + 1) - wrap).inverse();
        values[index * padded(2)..index * padded(2) + 2].copy_from_slice(&parts((*value - remainder) * divisor));
    }
    let coefficients = dft.coset_idft_batch(RowMajorMatrix::new(values, padded(2)), shift).values;
    coefficients.chunks_exact(padded(2)).map(|row| extension(row[0], row[1])).collect()
}
