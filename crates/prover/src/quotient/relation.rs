//! The relations' weighted sum at one point.

use p3_field::{Algebra, PrimeCharacteristicRing};
use zk_autograd_air::{Collected, Ext, Val};
use zk_autograd_verifier::Table;
use zk_autograd_verifier::composition::Sums;
use zk_autograd_verifier::table::{PLACES, Place, Row};

use crate::packed::{Packed, PackedExt};

/// What depends on x^N alone, for the points of a block of rows.
pub(super) struct Block<V> {
    /// The periodic columns.
    pub(super) periodic: Vec<V>,
    /// What each place's sum is multiplied by.
    pub(super) divisors: [V; PLACES],
}

impl Block<Val> {
    /// From `x^N`, what that is on the last rows, and `1 / (x^n - 1)`.
    pub(super) fn new(periodic: Vec<Val>, power: Val, last: Val, rows: Val) -> Self {
        use p3_field::Field;
        let divisors = [rows, (power - last) * rows, (power - Val::ONE).inverse(), (power - last).inverse()];
        Self { periodic, divisors }
    }

    pub(super) fn broadcast(&self) -> Block<Packed> {
        let periodic = self.periodic.iter().map(|value| Packed::from(*value)).collect();
        Block { periodic, divisors: self.divisors.map(Packed::from) }
    }
}

/// The same in every lane.
pub(super) fn broadcast(list: &[Ext]) -> Vec<PackedExt> {
    list.iter().map(|element| PackedExt::from(*element)).collect()
}

/// The weighted sum. `ties` are the columns' sides of the ties on first and on last rows.
#[inline]
pub(super) fn evaluate_row<T, V, E>(
    table: &T,
    (weights, challenges): (&[E], &[E]),
    row: &Row<'_, V, E>,
    ties: [E; 2],
    divisors: &[V; PLACES],
    scratch: &mut Collected<V>,
) -> E
where
    T: Table,
    V: PrimeCharacteristicRing + Copy,
    E: Algebra<V> + Copy,
{
    let mut sums = Sums::new(weights, E::ZERO);
    table.relations(row, challenges, scratch, &mut sums);
    let mut sums = *sums.by_place();
    sums[Place::First as usize] -= ties[0];
    sums[Place::Last as usize] -= ties[1];
    sums[0] * divisors[0] + sums[1] * divisors[1] + sums[2] * divisors[2] + sums[3] * divisors[3]
}
