//! The values at the out-of-domain point, and the words that the low-degree test is run on.

use core::ops::Range;

use p3_field::{
    BasedVectorSpace, Field, PackedValue, PrimeCharacteristicRing, TwoAdicField, batch_multiplicative_inverse,
};
use p3_maybe_rayon::prelude::*;
use p3_util::reverse_bits_len;
use zk_autograd_air::{Ext, Val};
use zk_autograd_verifier::batch::{Batch, mask};
use zk_autograd_verifier::codec::extension;
use zk_autograd_verifier::fri::SHIFT;
use zk_autograd_verifier::lengths::Domain;
use zk_autograd_verifier::range::horner;
use zk_autograd_verifier::table::{Layout, Opening, Point};

use crate::memory;
use crate::packed::Packed;
use crate::state::States;
use crate::table::Places;
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

/// The columns that are opened, with what is the same for all points of a word.
pub struct Opened<'a> {
    layout: &'a Layout,
    places: &'a Places,
    /// The matrices of the rounds, and the quotient's.
    rows: Vec<&'a Words>,
    lines: &'a [States],
    /// 1 / (x - point) for the points at which columns of rows are opened.
    differences: Vec<(Ext, Vec<Ext>)>,
}

impl Drop for Opened<'_> {
    fn drop(&mut self) {
        for (_, differences) in self.differences.drain(..) {
            memory::give(differences);
        }
    }
}

impl<'a> Opened<'a> {
    /// Prepares the openings at their points. `differences` are those that are there already.
    #[must_use]
    pub fn new(
        layout: &'a Layout,
        places: &'a Places,
        (rows, lines): (Vec<&'a Words>, &'a [States]),
        points: &[Ext],
        differences: Vec<(Ext, Vec<Ext>)>,
    ) -> Self {
        let mut opened = Self { layout, places, rows, lines, differences };
        for (opening, point) in layout.openings.iter().zip(points) {
            if layout.trees[opening.tree].domain == Domain::Rows && opened.differences(*point).is_none() {
                let log_size = opened.rows[0].log_half + 1;
                opened.differences.push((*point, inverse_differences(log_size, *point)));
            }
        }
        opened
    }

    fn differences(&self, point: Ext) -> Option<&[Ext]> {
        self.differences.iter().find(|(own, _)| *own == point).map(|(_, list)| &list[..])
    }

    /// The words of a tree over rows, and its first column there.
    fn columns(&self, tree: usize) -> Option<(usize, usize)> {
        self.places.rows[tree]
    }

    /// All values that are sent, in the order in which a proof holds them.
    #[must_use]
    pub fn values(&self, points: &[Ext]) -> Vec<Ext> {
        let sent = || self.layout.openings.iter().zip(points).filter(|(opening, _)| opening.point != Point::Seal);
        // Of each matrix all columns that are opened at one point, at once.
        let mut spans: Vec<((usize, Ext), Range<usize>)> = Vec::new();
        for (opening, point) in sent() {
            let Some((matrix, from)) = self.columns(opening.tree) else { continue };
            for (column, _) in opening.part.terms() {
                let own = from + column..from + column + 1;
                match spans.iter_mut().find(|(key, _)| *key == (matrix, *point)) {
                    Some((_, span)) => *span = span.start.min(own.start)..span.end.max(own.end),
                    None => spans.push(((matrix, *point), own)),
                }
            }
        }
        let values: Vec<Vec<Ext>> = spans
            .iter()
            .map(|((matrix, point), span)| {
                let differences = self.differences(*point).unwrap_or_default();
                evaluate(self.rows[*matrix], *point, differences, span.clone())
            })
            .collect();
        let at = |opening: &Opening, point: Ext, column: usize| -> Ext {
            if let Some((matrix, from)) = self.columns(opening.tree) {
                let place = spans.iter().position(|(key, _)| *key == (matrix, point)).unwrap_or(0);
                values[place][from + column - spans[place].1.start]
            } else {
                let column = self.line(opening.tree);
                horner(&column.0.coefficients[column.1], point)
            }
        };
        sent()
            .map(|(opening, point)| {
                opening.part.terms().iter().map(|(column, factor)| *factor * at(opening, *point, *column)).sum()
            })
            .collect()
    }

    /// The column of a tree over lines: its group, and its number there.
    fn line(&self, tree: usize) -> (&States, usize) {
        let mut number = self.places.lines[tree].unwrap_or(0);
        for group in self.lines {
            if number < group.trees.len() {
                return (group, number);
            }
            number -= group.trees.len();
        }
        unreachable!("as many columns of lines as trees")
    }

    /// The rows' word: the mask, and the quotients by the points at which the columns were opened.
    #[must_use]
    pub fn batch(&self, batch: &Batch) -> Vec<Ext> {
        let quotient = self.rows[self.rows.len() - 1];
        let joined: Vec<Joined<'_>> = batch
            .groups
            .iter()
            .filter(|group| group.domain == Domain::Rows)
            .map(|group| {
                let mut weights: Vec<(usize, Vec<Ext>)> = Vec::new();
                for (tree, column, weight) in &group.terms {
                    let Some((matrix, from)) = self.columns(*tree) else { continue };
                    let place = weights.iter().position(|(own, _)| *own == matrix).unwrap_or_else(|| {
                        weights.push((matrix, vec![Ext::ZERO; self.rows[matrix].width]));
                        weights.len() - 1
                    });
                    weights[place].1[from + column] += *weight;
                }
                Joined {
                    rows: weights.iter().map(|(matrix, list)| (self.rows[*matrix], Row::new(list))).collect(),
                    claimed: group.claimed,
                    differences: self.differences(group.point).unwrap_or_default(),
                }
            })
            .collect();
        let mut out = memory::take(2 << quotient.log_half);
        out.par_chunks_mut(CHUNK).enumerate().for_each(|(chunk, out)| {
            for (offset, out) in out.iter_mut().enumerate() {
                let index = chunk * CHUNK + offset;
                let mut word = mask(quotient.row(index));
                for Joined { rows, claimed, differences } in &joined {
                    let sum: Ext = rows.iter().map(|(words, weights)| weights.dot(words.row(index))).sum();
                    word += (sum - *claimed) * differences[index];
                }
                *out = word;
            }
        });
        out
    }

    /// The lines' word.
    #[must_use]
    pub fn batch_lines(&self, batch: &Batch, log_size: usize) -> Vec<Ext> {
        let mut out = memory::cleared(1 << log_size);
        for group in batch.groups.iter().filter(|group| group.domain == Domain::Lines) {
            let differences = inverse_differences(log_size, group.point);
            let columns: Vec<(&Words, usize, Ext)> = group
                .terms
                .iter()
                .map(|(tree, _, weight)| {
                    let (states, column) = self.line(*tree);
                    (&states.words, column, *weight)
                })
                .collect();
            out.par_chunks_mut(CHUNK).enumerate().for_each(|(chunk, out)| {
                for (offset, out) in out.iter_mut().enumerate() {
                    let index = chunk * CHUNK + offset;
                    let sum: Ext =
                        columns.iter().map(|(words, column, weight)| *weight * words.row(index)[*column]).sum();
                    *out += (sum - group.claimed) * differences[index];
                }
            });
            memory::give(differences);
        }
        out
    }
}

/// The openings at one point, as the words' values are joined.
struct Joined<'a> {
    rows: Vec<(&'a Words, Row)>,
    claimed: Ext,
    differences: &'a [Ext],
}

/// Weights for the values of a padded row, ready for vectors: for those vectors in which a weight
/// isn't zero.
struct Row {
    first: usize,
    low: Vec<Packed>,
    high: Vec<Packed>,
}

impl Row {
    fn new(weights: &[Ext]) -> Self {
        let (low, high): (Vec<Val>, Vec<Val>) =
            weights.iter().map(|weight| crate::state::parts(*weight)).map(|[low, high]| (low, high)).unzip();
        let used = |weight: &Ext| *weight != Ext::ZERO;
        let first = weights.iter().position(used).unwrap_or(0) / Packed::WIDTH;
        let last = weights.iter().rposition(used).unwrap_or(0) / Packed::WIDTH;
        let [low, high] = [low, high].map(|list| Packed::pack_slice(&list)[first..=last].to_vec());
        Self { first, low, high }
    }

    #[inline]
    fn dot(&self, row: &[Val]) -> Ext {
        let mut sums = [Packed::ZERO; 2];
        let row = &Packed::pack_slice(row)[self.first..];
        for ((values, low), high) in row.iter().zip(&self.low).zip(&self.high) {
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
