//! What a rule's relations are written against: values that can be added and multiplied, and a sink
//! for what must hold.

use core::ops::{Add, Mul, Sub};

use p3_field::PrimeCharacteristicRing;

/// A value of a column, or an expression of such values.
pub trait Value: Clone + Add<Output = Self> + Sub<Output = Self> + Mul<Output = Self> {
    /// The integer as such a value.
    fn int(value: i64) -> Self;

    /// The value times an integer.
    #[must_use]
    fn times(&self, factor: i64) -> Self {
        self.clone() * Self::int(factor)
    }
}

impl<R: PrimeCharacteristicRing + Clone> Value for R {
    #[inline]
    fn int(value: i64) -> Self {
        Self::from_i64(value)
    }

    #[inline]
    fn times(&self, factor: i64) -> Self {
        self.clone() * Self::from_i64(factor)
    }
}

/// Where a rule's relations go. Names are for people: [`crate::describe`] and a prover's errors use
/// them.
pub trait Sink<V> {
    /// `value` is zero on every row. Its degree in the columns is at most 2.
    fn zero(&mut self, name: &'static str, value: V);

    /// `value` lies in `0 .. 2^16` on every row. Its degree is 1.
    fn range(&mut self, name: &'static str, value: V);

    /// What the state of that index is after the row. Its degree is at most 2.
    fn next(&mut self, state: usize, value: V);
}

/// The relations of one row, collected in the order of the description.
#[derive(Clone, Debug)]
pub struct Collected<V> {
    /// What must be zero.
    pub zeros: Vec<V>,
    /// What must lie in the table.
    pub ranges: Vec<V>,
    /// The states after the row.
    pub nexts: Vec<V>,
}

impl<V> Default for Collected<V> {
    fn default() -> Self {
        Self { zeros: Vec::new(), ranges: Vec::new(), nexts: Vec::new() }
    }
}

impl<V> Collected<V> {
    /// Empties the lists and keeps their memory.
    pub fn clear(&mut self) {
        self.zeros.clear();
        self.ranges.clear();
        self.nexts.clear();
    }
}

impl<V> Sink<V> for Collected<V> {
    #[inline]
    fn zero(&mut self, _name: &'static str, value: V) {
        self.zeros.push(value);
    }

    #[inline]
    fn range(&mut self, _name: &'static str, value: V) {
        self.ranges.push(value);
    }

    #[inline]
    fn next(&mut self, state: usize, value: V) {
        debug_assert_eq!(state, self.nexts.len());
        self.nexts.push(value);
    }
}

/// Reads columns one after the other.
pub(crate) struct Columns<'a, V> {
    rest: core::slice::Iter<'a, V>,
}

impl<'a, V: Clone> Columns<'a, V> {
    pub(crate) fn new(columns: &'a [V]) -> Self {
        Self { rest: columns.iter() }
    }

    /// The next column.
    ///
    /// # Panics
    /// If there is none: a caller that passes fewer columns than the description names is wrong.
    #[inline]
    pub(crate) fn take(&mut self) -> V {
        self.rest.next().expect("as many columns as the description names").clone()
    }
}
