//! The values at the out-of-domain point, and the words that the low-degree test is run on.

use core::ops::Range;

use p3_field::{
    BasedVectorSpace, Field, PackedValue, PrimeCharacteristicRing, TwoAdicField, batch_multiplicative_inverse,
};
use p3_maybe_rayon::prelude::*;
use p3_util::reverse_bits_len;
use zk_autograd_air::{Ext, Val};
use zk_autograd_verifier::codec::extension;
use zk_autograd_verifier::composition::OutOfDomain;
use zk_autograd_verifier::sealed::Sealed;
use zk_autograd_verifier::table::horner;
use zk_autograd_verifier::verify::{Points, QUOTIENT_COLUMNS, SHIFT, Weights};
use zk_autograd_verifier::{Shape, Statement};

use crate::memory;
use crate::packed::Packed;
use crate::state::States;
use crate::words::{Words, shifts};

const CHUNK: usize = 4096;

/// 1 / (x - point) for all points x of a word, in the order of its indices.
#[must_use]
pub fn inverse_differences(log_size: usize, point: Ext) -> Vec<Ext> {
    // 1 / (x - z) = (x - z') / N(x - z), with z' the conjugate: one inverse in the base field.
    let conjugate = point.frobenius_conjugate();
    let trace = base(point + conjugate);
    let norm = base(point * conjugate);
    let generator = Val::two_adic_generator(log_size);
    let mut out = memory::take(1 << log_size);
    out.par_chunks_mut(CHUNK).enumerate().for_each(|(chunk, out)| {
        let log_chunk = out.len().trailing_zeros() as usize;
        // Within a chunk of the bit-reversed order the low bits of the index are the high bits of the exponent.
        let first = SHIFT * generator.exp_u64(reverse_bits_len(chunk * CHUNK, log_size) as u64);
        let step = Val::two_adic_generator(log_chunk);
        let mut xs = vec![Val::ZERO; out.len()];
        let mut x = first;
        for index in 0..out.len() {
            xs[reverse_bits_len(index, log_chunk)] = x;
            x *= step;
        }
        let norms: Vec<Val> = xs.iter().map(|x| *x * (*x - trace) + norm).collect();
        for ((out, x), inverse) in out.iter_mut().zip(xs).zip(batch_multiplicative_inverse(&norms)) {
            *out = (Ext::from(x) - conjugate) * inverse;
        }
    });
    out
}

trait Conjugate {
    fn frobenius_conjugate(&self) -> Self;
}

impl Conjugate for Ext {
    /// The other root: the extension is F[X] / (X^2 - w).
    fn frobenius_conjugate(&self) -> Self {
        let parts = BasedVectorSpace::<Val>::as_basis_coefficients_slice(self);
        extension(parts[0], -parts[1])
    }
}

fn base(value: Ext) -> Val {
    BasedVectorSpace::<Val>::as_basis_coefficients_slice(&value)[0]
}

/// The values of some columns of words at a point, from their values on the cosets.
///
/// On the coset t H the remainder of f modulo `X^n - t^n` is, at z, `(z^n - t^n) / (n t^n) sum x f(x) / (z - x)`; the two remainders
/// give f, which has fewer than 2n coefficients.
#[must_use]
pub fn evaluate(words: &Words, point: Ext, differences: &[Ext], columns: Range<usize>) -> Vec<Ext> {
    let power = point.exp_power_of_2(words.log_half);
    let wraps = shifts(words.log_half).map(|shift| shift.exp_power_of_2(words.log_half));
    let generator = Val::two_adic_generator(words.log_half + 1);
    let log_size = words.log_half + 1;
    let size = 1_usize << words.log_half;
    // Whole vectors that hold the columns.
    let from = columns.start / Packed::WIDTH;
    let packs = columns.end.div_ceil(Packed::WIDTH) - from;
    let mut total = vec![Ext::ZERO; packs * Packed::WIDTH];
    for half in 0..2 {
        let (own, other) = (wraps[half], wraps[1 - half]);
        let scale = (power - own) * (power - other) * (own * (own - other)).inverse();
        let scale = scale * Val::ONE.div_2exp_u64(words.log_half as u64);
        let sums = words.halves[half]
            .par_chunks(CHUNK * words.width)
            .enumerate()
            .map(|(chunk, rows)| {
                let index = half * size + chunk * CHUNK;
                let log_chunk = (rows.len() / words.width).trailing_zeros() as usize;
                let first = SHIFT * generator.exp_u64(reverse_bits_len(index, log_size) as u64);
                let powers: Vec<Val> = Val::two_adic_generator(log_chunk)
                    .powers()
                    .take(1 << log_chunk)
                    .map(|power| power * first)
                    .collect();
                let mut sums = vec![[Packed::ZERO; 2]; packs];
                for (row, values) in rows.chunks_exact(words.width).enumerate() {
                    let weight = differences[index + row] * powers[reverse_bits_len(row, log_chunk)];
                    let parts = BasedVectorSpace::<Val>::as_basis_coefficients_slice(&weight);
                    let (low, high) = (Packed::from(parts[0]), Packed::from(parts[1]));
                    for (sum, values) in sums.iter_mut().zip(&Packed::pack_slice(values)[from..]) {
                        sum[0] += *values * low;
                        sum[1] += *values * high;
                    }
                }
                sums
            })
            .reduce(
                || vec![[Packed::ZERO; 2]; packs],
                |mut left, right| {
                    for (sum, value) in left.iter_mut().zip(right) {
                        sum[0] += value[0];
                        sum[1] += value[1];
                    }
                    left
                },
            );
        // differences are 1 / (x - z), the formula has 1 / (z - x).
        for (pack, [low, high]) in sums.iter().enumerate() {
            for (lane, (low, high)) in low.as_slice().iter().zip(high.as_slice()).enumerate() {
                total[pack * Packed::WIDTH + lane] -= extension(*low, *high) * scale;
            }
        }
    }
    let start = columns.start - from * Packed::WIDTH;
    total.drain(start..start + columns.len()).collect()
}

/// The words of columns that go into the batch.
pub struct Opened<'a> {
    /// Main columns, multiplicities, gradient.
    pub main: &'a Words,
    /// The lookups' columns.
    pub helpers: &'a Words,
    /// The quotient's parts and the mask.
    pub quotient: &'a Words,
    /// 1 / (x - z).
    pub at_point: &'a [Ext],
    /// 1 / (x - g z).
    pub at_next: &'a [Ext],
    /// 1 / (x - the gradient's sealing point).
    pub at_gradient: &'a [Ext],
}

impl Opened<'_> {
    /// All values at the out-of-domain point, in the order in which a proof holds them.
    #[must_use]
    pub fn out_of_domain(
        &self,
        statement: &Statement,
        points: &Points,
        state_in: &States,
        state_out: &States,
    ) -> Vec<Ext> {
        let shape = &statement.shape;
        let point = points.out_of_domain;
        let mut values = evaluate(self.main, point, self.at_point, 0..shape.main + shape.gradient);
        let helpers = evaluate(self.helpers, point, self.at_point, 0..2 * (shape.helpers + 1));
        let quotient = evaluate(self.quotient, point, self.at_point, 0..QUOTIENT_COLUMNS - 2);
        let unit = extension(Val::ZERO, Val::ONE);
        let joined = |parts: &[Ext]| parts[0] + parts[1] * unit;
        values.extend(helpers.chunks_exact(2).map(joined));
        values.extend(quotient.chunks_exact(2).map(joined));
        let next_main = evaluate(self.main, points.next, self.at_next, 0..shape.states);
        values.extend(next_main);
        let sum = 2 * shape.helpers;
        values.push(joined(&evaluate(self.helpers, points.next, self.at_next, sum..sum + 2)));
        values.extend(state_in.coefficients.iter().map(|list| horner(list, point)));
        values.extend(state_out.coefficients.iter().map(|list| horner(list, points.last)));
        values
    }

    /// The rows' word: the mask, and the quotients by the points at which the columns were opened.
    #[must_use]
    pub fn batch(&self, shape: &Shape, values: &OutOfDomain, points_value: Ext, weights: &Weights) -> Vec<Ext> {
        let unit = extension(Val::ZERO, Val::ONE);
        let columns = shape.main + shape.gradient;
        let pairs = shape.helpers + 1;
        let doubled = |list: &[Ext]| -> Vec<Ext> { list.iter().flat_map(|weight| [*weight, *weight * unit]).collect() };
        let main = Row::new(&weights.point[..columns], self.main.width);
        let helpers = Row::new(&doubled(&weights.point[columns..columns + pairs]), self.helpers.width);
        let quotient = Row::new(&doubled(&weights.point[columns + pairs..]), self.quotient.width);
        let at_point = dot(
            &weights.point,
            values
                .main
                .iter()
                .chain(&values.gradient)
                .chain(&values.helpers)
                .chain([&values.sum])
                .chain(&values.quotient),
        );
        let at_next = dot(&weights.next, values.next_states.iter().chain([&values.next_sum]));
        let mut out = memory::take(2 << shape.log_rows());
        out.par_chunks_mut(CHUNK).enumerate().for_each(|(chunk, out)| {
            for (offset, out) in out.iter_mut().enumerate() {
                let index = chunk * CHUNK + offset;
                let (row, lookups, parts) = (self.main.row(index), self.helpers.row(index), self.quotient.row(index));
                let here = main.dot(row) + helpers.dot(lookups) + quotient.dot(parts);
                let sum = extension(lookups[2 * pairs - 2], lookups[2 * pairs - 1]);
                let mut next = weights.next[shape.states] * sum;
                for (value, weight) in row.iter().zip(&weights.next[..shape.states]) {
                    next += *weight * *value;
                }
                let sealed = zk_autograd_verifier::verify::gradient_value(row[shape.main], row[shape.main + 1]);
                *out = extension(parts[4], parts[5])
                    + (here - at_point) * self.at_point[index]
                    + (next - at_next) * self.at_next[index]
                    + weights.gradient * (Ext::from(sealed) - points_value) * self.at_gradient[index];
            }
        });
        out
    }
}

/// The states' word.
#[must_use]
pub fn batch_states(
    shape: &Shape,
    states: [&States; 2],
    values: [&[Ext]; 2],
    points: &Points,
    weights: &Weights,
) -> Vec<Ext> {
    let mut out = memory::cleared(1 << shape.log_state_words());
    let sealing = [&points.state_in, &points.state_out];
    let mut weights = weights.states.iter();
    for (side, point) in [(0, points.out_of_domain), (1, points.last)] {
        let differences = inverse_differences(shape.log_state_words(), point);
        for (column, value) in values[side].iter().enumerate() {
            let Some((weight, seal_weight)) = weights.next() else { continue };
            let sealed: Sealed = states[side].sealed[column];
            let seal_differences = inverse_differences(shape.log_state_words(), sealing[side][column]);
            let words = &states[side].words;
            out.par_chunks_mut(CHUNK).enumerate().for_each(|(chunk, out)| {
                for (offset, out) in out.iter_mut().enumerate() {
                    let index = chunk * CHUNK + offset;
                    let own = Ext::from(words.row(index)[column]);
                    *out += *weight * (own - *value) * differences[index]
                        + *seal_weight * (own - sealed.value) * seal_differences[index];
                }
            });
        }
    }
    out
}

fn dot<'a>(weights: &[Ext], values: impl Iterator<Item = &'a Ext>) -> Ext {
    weights.iter().zip(values).map(|(weight, value)| *weight * *value).sum()
}

/// Weights for the values of a padded row, ready for vectors.
struct Row {
    low: Vec<Packed>,
    high: Vec<Packed>,
}

impl Row {
    fn new(weights: &[Ext], width: usize) -> Self {
        let mut parts = [Val::zero_vec(width), Val::zero_vec(width)];
        for (index, weight) in weights.iter().enumerate() {
            let [low, high] = crate::state::parts(*weight);
            parts[0][index] = low;
            parts[1][index] = high;
        }
        let [low, high] = parts.map(|list| Packed::pack_slice(&list).to_vec());
        Self { low, high }
    }

    #[inline]
    fn dot(&self, row: &[Val]) -> Ext {
        let mut sums = [Packed::ZERO; 2];
        for ((values, low), high) in Packed::pack_slice(row).iter().zip(&self.low).zip(&self.high) {
            sums[0] += *values * *low;
            sums[1] += *values * *high;
        }
        let [low, high] = sums.map(|sum| sum.as_slice().iter().copied().sum::<Val>());
        extension(low, high)
    }
}

#[cfg(test)]
mod tests {
    use p3_matrix::dense::RowMajorMatrix;

    use super::*;
    use crate::coins::Seed;
    use crate::words::{Dft, Polynomials, on_small_coset, words};

    const LOG_ROWS: usize = 12;
    const HIGH: usize = 40;

    fn polynomials() -> (Polynomials, Vec<Vec<Val>>) {
        let mut stream = Seed::derive("test", &[]).stream(0);
        let width = 8;
        let low: Vec<Val> = (0..width << LOG_ROWS).map(|_| stream.value()).collect();
        let high: Vec<Val> = (0..width * HIGH).map(|_| stream.value()).collect();
        let lists =
            (0..width).map(|column| low.iter().chain(&high).skip(column).step_by(width).copied().collect()).collect();
        (Polynomials { low: RowMajorMatrix::new(low, width), high }, lists)
    }

    #[test]
    fn inverse_differences_are_in_the_order_of_the_word() {
        let point = extension(Val::from_u64(5), Val::from_u64(6));
        let list = inverse_differences(13, point);
        for index in [0, 1, 5, 4095, 4096, 8191] {
            let x = SHIFT * zk_autograd_verifier::fri::point(index, 13);
            assert_eq!(list[index] * (Ext::from(x) - point), Ext::ONE, "{index}");
        }
    }

    #[test]
    fn words_hold_the_values_of_their_polynomials() {
        let (polynomials, lists) = polynomials();
        let small = on_small_coset(&Dft::default(), &polynomials, 6, Val::from_u64(49));
        let words = words(&Dft::default(), polynomials);
        for index in [0, 1, 2, 4095, 4096, 5000, 8191] {
            let x = SHIFT * zk_autograd_verifier::fri::point(index, LOG_ROWS + 1);
            for (column, list) in lists.iter().enumerate() {
                assert_eq!(Ext::from(words.row(index)[column]), horner(list, Ext::from(x)), "{index} {column}");
            }
        }
        for index in [0, 1, 63] {
            let x = Val::from_u64(49) * Val::two_adic_generator(6).exp_u64(index as u64);
            assert_eq!(Ext::from(small[index * 8 + 3]), horner(&lists[3], Ext::from(x)), "{index}");
        }
    }

    #[test]
    fn values_outside_come_from_the_words() {
        let (polynomials, lists) = polynomials();
        let words = words(&Dft::default(), polynomials);
        let point = extension(Val::from_u64(5), Val::from_u64(6));
        let values = evaluate(&words, point, &inverse_differences(LOG_ROWS + 1, point), 0..8);
        for (value, list) in values.iter().zip(&lists) {
            assert_eq!(*value, horner(list, point));
        }
    }
}
