//! The lookups as relations: logarithmic derivatives (Haböck, 2022/1530), with the table in the same trace.
//!
//! With the challenge g, every looked-up value x contributes `1 / (g + x)` and every table entry t `-mult / (g + t)`; the sum over all
//! rows is zero. Two lookups share a helper column; the last lookup and the table entry go into the running sum
//! itself, so that each relation has degree 3. The running sum goes around: row 0 comes after the last row, and nothing is sent.

use p3_field::{Algebra, PrimeCharacteristicRing};

/// The relations of one row, handed to `push`: one a helper column, then the running sum's.
///
/// `ranges` are the row's looked-up values, `table` and `multiplicity` its entry of the table, `helpers` and `sum` the lookups'
/// columns there, `sum_next` the running sum one row on.
#[inline]
#[allow(clippy::too_many_arguments)]
pub fn relations<V, E>(
    ranges: &[V],
    table: V,
    multiplicity: V,
    helpers: &[E],
    sum: E,
    sum_next: E,
    challenge: E,
    mut push: impl FnMut(E),
) where
    V: PrimeCharacteristicRing + Copy,
    E: Algebra<V> + Copy,
{
    let Some((last, paired)) = ranges.split_last() else { return };
    let mut total = E::ZERO;
    for (helper, pair) in helpers.iter().zip(paired.chunks(2)) {
        total += *helper;
        let first = challenge + pair[0];
        push(match pair.get(1) {
            Some(second) => {
                let second = challenge + *second;
                *helper * first * second - first - second
            }
            None => *helper * first - E::ONE,
        });
    }
    let looked_up = challenge + *last;
    let entry = challenge + table;
    push((sum_next - sum - total) * looked_up * entry - entry + looked_up * multiplicity);
}
