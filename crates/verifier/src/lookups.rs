//! The lookups as relations: logarithmic derivatives (Haböck, 2022/1530), with the table in the same trace.
//!
//! With the challenge g, every looked-up value x contributes `1 / (g + x)` and every table entry t `-mult / (g + t)`; the sum over all
//! rows is zero. Two lookups share a helper column; the last lookup and the table entry go into the running sum
//! itself, so that each relation has degree 3. The running sum goes around: row 0 comes after the last row, and nothing is sent.

use p3_field::{Algebra, PrimeCharacteristicRing};

/// What of a row its lookups' relations are about.
#[derive(Clone, Copy, Debug)]
pub struct Row<'a, V, E> {
    /// The looked-up values.
    pub looked_up: &'a [V],
    /// The table's entry.
    pub entry: V,
    /// How often it is looked up.
    pub multiplicity: V,
    /// The helper columns.
    pub helpers: &'a [E],
    /// The running sum.
    pub sum: E,
    /// The running sum one row on.
    pub sum_next: E,
}

/// The relations of one row, handed to `push`: one a helper column, then the running sum's.
#[inline]
pub fn relations<V, E>(row: &Row<'_, V, E>, challenge: E, mut push: impl FnMut(E))
where
    V: PrimeCharacteristicRing + Copy,
    E: Algebra<V> + Copy,
{
    let Some((last, paired)) = row.looked_up.split_last() else { return };
    let mut total = E::ZERO;
    for (helper, pair) in row.helpers.iter().zip(paired.chunks(2)) {
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
    let entry = challenge + row.entry;
    push((row.sum_next - row.sum - total) * looked_up * entry - entry + looked_up * row.multiplicity);
}
