//! The relations' weighted sum at one point.

use p3_field::{Algebra, PrimeCharacteristicRing};
use zk_autograd_air::constants::PERIODIC;
use zk_autograd_air::{Air, Collected, Ext, Periodic, Val, evaluate};
use zk_autograd_verifier::Statement;

/// The powers of the composition challenge, by relation.
pub(super) struct Weights<E> {
    pub(super) zeros: Vec<E>,
    pub(super) lookups: Vec<E>,
    pub(super) between: Vec<E>,
    pub(super) first: Vec<E>,
    pub(super) last: Vec<E>,
}

impl Weights<Ext> {
    pub(super) fn new(statement: &Statement, challenge: Ext) -> Self {
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

    pub(super) fn broadcast<E: From<Ext>>(&self) -> Weights<E> {
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
pub(super) struct Block {
    pub(super) periodic: [Val; PERIODIC],
    /// (x^N - last) / (x^n - 1)
    pub(super) between: Val,
    /// 1 / (x^N - 1)
    pub(super) first: Val,
    /// 1 / (x^N - last)
    pub(super) last: Val,
    /// 1 / (x^n - 1)
    pub(super) rows: Val,
}

pub(super) struct Row<'a, V, E> {
    pub(super) columns: &'a [V],
    pub(super) multiplicity: V,
    pub(super) table: V,
    pub(super) helpers: &'a [E],
    pub(super) sum: E,
    pub(super) sum_next: E,
    pub(super) states_next: &'a [V],
    pub(super) tie_first: E,
    pub(super) tie_last: E,
}

#[inline]
pub(super) fn evaluate_row<V, E>(
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
