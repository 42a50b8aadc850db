//! A row of the trace while it is written, in integers: what an honest prover writes down.

use p3_field::PrimeCharacteristicRing;

use crate::field::{Val, from_signed};

/// A quantity that leaves the range that the columns can hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OutOfRange {
    /// The quantity, as the rules document names it.
    pub quantity: &'static str,
    /// Its value.
    pub value: i64,
}

/// The parts of a state, in the order of the rule's states; what a rule doesn't have is 0.
pub type State = [i64; 3];

/// Writes a row's values one after the other.
pub struct Writer<'a> {
    row: &'a mut [Val],
    next: usize,
}

impl<'a> Writer<'a> {
    /// A writer that begins at the front of `row`.
    pub const fn new(row: &'a mut [Val]) -> Self {
        Self { row, next: 0 }
    }

    /// Whether the row is full.
    #[must_use]
    pub const fn is_full(&self) -> bool {
        self.next == self.row.len()
    }

    #[inline]
    pub(crate) fn put(&mut self, value: i64) {
        self.row[self.next] = from_signed(value);
        self.next += 1;
    }

    #[inline]
    pub(crate) fn put_limb(&mut self, value: u64) {
        self.row[self.next] = Val::from_u64(value);
        self.next += 1;
    }
}

/// `value + offset`, which must lie in `0 .. bound`.
#[inline]
pub(crate) fn limbs(quantity: &'static str, value: i64, offset: i64, bound: i64) -> Result<i64, OutOfRange> {
    let shifted = value.wrapping_add(offset);
    if (0..bound).contains(&shifted) { Ok(shifted) } else { Err(OutOfRange { quantity, value }) }
}
