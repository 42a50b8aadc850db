//! The optimizer's table: a segment's steps, one row a parameter and step, one line a parameter.
//!
//! Its trees are the gradient, the main columns with the multiplicities, the lookups' columns, the
//! quotient, and one for each part of the state before and after the segment. The lookups' columns
//! come in a round of their own, after the challenge that they need.

use p3_field::{Algebra, PrimeCharacteristicRing};
use zk_autograd_air::field::from_signed;
use zk_autograd_air::{Collected, Ext, Periodic, Val, evaluate};

use crate::lengths::{Domain, Lengths};
use crate::lookups;
use crate::parameters::{LOOKUP_BITS, SALT_BYTES};
use crate::sealed::Sealed;
use crate::shape::Shape;
use crate::statement::{Commitments, Statement};
use crate::table::{Layout, Opening, Part, Place, QUOTIENT, Relations, Root, Round, Row, Table, Tree};

/// The gradient's tree.
pub const GRADIENT: usize = 0;
/// The tree of the main columns and the multiplicities.
pub const MAIN: usize = 1;
/// The tree of the lookups' helpers and their running sum.
pub const LOOKUPS: usize = 2;
/// The quotient's.
const QUOTIENT_TREE: usize = 3;
/// The first tree of the states before the segment; those after it follow.
pub const STATES: usize = 4;

/// The numbers of openings, in their order.
struct Numbers {
    helpers: usize,
    sum: usize,
    next_states: usize,
    next_sum: usize,
    states: usize,
}

impl Numbers {
    const fn new(shape: &Shape) -> Self {
        let helpers = shape.main + shape.gradient;
        let sum = helpers + shape.helpers;
        // The quotient's two parts stand between.
        let next_states = sum + 3;
        let next_sum = next_states + shape.states;
        // And the gradient's seal.
        Self { helpers, sum, next_states, next_sum, states: next_sum + 2 }
    }

    /// The opening of a state before the segment, or after it: each has a seal behind it.
    const fn state(&self, shape: &Shape, state: usize, after: bool) -> usize {
        self.states + 2 * (if after { shape.states + state } else { state })
    }
}

fn trees(shape: &Shape) -> Vec<Tree> {
    let (rows, lines) = (Domain::Rows, Domain::Lines);
    let tree = |name, width, domain, root| Tree { name, width, salt: SALT_BYTES, domain, root };
    let mut trees = vec![
        tree("gradient", shape.gradient, rows, Root::Sealed("of the gradient")),
        tree("main", shape.main, rows, Root::Sent),
        tree("lookups", 2 * (shape.helpers + 1), rows, Root::Sent),
        QUOTIENT,
    ];
    for (name, seal) in
        [("state before", "of a state before the segment"), ("state after", "of a state after the segment")]
    {
        trees.extend((0..shape.states).map(|_| tree(name, 1, lines, Root::Sealed(seal))));
    }
    trees
}

fn openings(shape: &Shape) -> Vec<Opening> {
    let mut openings: Vec<Opening> = (0..shape.main).map(|column| Opening::base(MAIN, column, 0)).collect();
    openings.extend((0..shape.gradient).map(|column| Opening::base(GRADIENT, column, 0)));
    openings.extend((0..=shape.helpers).map(|number| Opening::extension(LOOKUPS, number, 0)));
    openings.extend((0..2).map(|part| Opening::extension(QUOTIENT_TREE, part, 0)));
    openings.extend((0..shape.states).map(|column| Opening::base(MAIN, column, 1)));
    openings.push(Opening::extension(LOOKUPS, shape.helpers, 1));
    // The value that seals a gradient is that of g0 + 2^15 g1, which is G + 2^30.
    let gradient = vec![(0, Ext::ONE), (1, Ext::from_u64(1 << 15))];
    openings.push(Opening::sealed(GRADIENT, Part::Sum(gradient)));
    let to_last = 1 - (1_i64 << shape.lengths.log_steps);
    for (first, rows) in [(STATES, 0), (STATES + shape.states, to_last)] {
        for tree in first..first + shape.states {
            openings.push(Opening::base(tree, 0, rows));
            openings.push(Opening::sealed(tree, Part::Base(0)));
        }
    }
    openings
}

fn layout(shape: &Shape) -> Layout {
    let numbers = Numbers::new(shape);
    let multiplicity = shape.main - 1;
    let mut base: Vec<usize> = (0..multiplicity).chain(shape.main..shape.main + shape.gradient).collect();
    base.push(multiplicity);
    base.extend(numbers.next_states..numbers.next_sum);
    let mut extension: Vec<usize> = (numbers.helpers..=numbers.sum).collect();
    extension.push(numbers.next_sum);
    Layout {
        trees: trees(shape),
        quotient: QUOTIENT_TREE,
        rounds: vec![
            // The lookups' challenge. Soundness error: L 3 n (lookups + 1) / |K|, times 2^-14 for
            // the work: for each list of columns, a root of the sum's numerator, or a denominator
            // that vanishes.
            Round { trees: vec![MAIN, GRADIENT], work: Some((LOOKUP_BITS, "of the lookups")), challenges: 1 },
            // The composition challenge. Soundness error: L relations / |K|.
            Round { trees: vec![LOOKUPS], work: None, challenges: 1 },
        ],
        openings: openings(shape),
        base,
        extension,
    }
}

impl Table for Statement {
    fn lengths(&self) -> &Lengths {
        &self.shape.lengths
    }

    fn layout(&self) -> Layout {
        layout(&self.shape)
    }

    fn beginning(&self, sealed: &[Sealed]) -> Vec<u8> {
        // Whoever asks has counted them: nothing else binds the sealed roots.
        let all = Commitments::from_tree_order(sealed).expect("as many commitments as sealed trees");
        Self::transcript_bytes(self, &all)
    }

    fn periodic(&self) -> Vec<Vec<Val>> {
        self.constants.periodic.iter().map(|step| step.map(from_signed).to_vec()).collect()
    }

    #[inline]
    fn relations<V, E, R>(&self, row: &Row<'_, V, E>, challenges: &[E], scratch: &mut Collected<V>, relations: &mut R)
    where
        V: PrimeCharacteristicRing + Copy,
        E: Algebra<V> + Copy,
        R: Relations<V, E>,
    {
        let shape = &self.shape;
        let numbers = Numbers::new(shape);
        let (columns, rest) = row.base.split_at(shape.main - 1 + shape.gradient);
        let (multiplicity, next_states) = (rest[0], &rest[1..]);
        let (helpers, sums) = row.extension.split_at(shape.helpers);
        let periodic = Periodic::from_array(core::array::from_fn(|column| row.periodic[column]));
        scratch.clear();
        evaluate(&self.air, columns, &periodic, scratch);
        for zero in &scratch.zeros {
            relations.base(Place::Everywhere, *zero);
        }
        let lookups = lookups::Row {
            looked_up: &scratch.ranges,
            entry: row.range,
            multiplicity,
            helpers,
            sum: sums[0],
            sum_next: sums[1],
        };
        lookups::relations(&lookups, challenges[0], |value| relations.extension(Place::Everywhere, value));
        for (next, claimed) in scratch.nexts.iter().zip(next_states) {
            relations.base(Place::Between, *claimed - *next);
        }
        for (state, column) in columns.iter().take(shape.states).enumerate() {
            relations.tied(Place::First, *column, numbers.state(shape, state, false));
        }
        for (state, next) in scratch.nexts.iter().enumerate() {
            relations.tied(Place::Last, *next, numbers.state(shape, state, true));
        }
    }
}

#[cfg(test)]
mod tests {
    use zk_autograd_air::{Rule, StepConstants, Variant};

    use super::*;
    use crate::parameters::Preset;
    use crate::table::{Part, Plan, Point};

    /// What soundness is computed from is what the loops run over.
    #[test]
    fn the_shape_counts_what_the_layout_holds() {
        let adam = StepConstants { c1: 3277, c2: 33, lr: 5, eps: 7, ..StepConstants::default() };
        let sgd = StepConstants { cg: 1 << 15, lr: 5, ..StepConstants::default() };
        for rule in Rule::ALL {
            for (decay, weights_in_range) in [(false, false), (true, false), (true, true)] {
                let step = if rule.shifts().is_empty() { adam } else { sgd };
                let variant = Variant { rule, s: 30, decay, weights_in_range };
                let statement = Statement::new(&variant, Preset::Standard, 13, &[step; 8], [0; 32]).unwrap();
                let (shape, layout) = (&statement.shape, statement.layout());
                assert_eq!(layout.sent(), shape.out_of_domain());
                assert_eq!(layout.openings.len() + 1, shape.batched());
                let plan = Plan::new(&statement, &layout);
                assert_eq!((plan.relations, plan.ties.len()), (shape.relations(), 2 * shape.states));
                // Every column is opened at z or at its like, and every sealed tree at its seal.
                for (number, tree) in layout.trees.iter().enumerate() {
                    let own = || layout.openings.iter().filter(|opening| opening.tree == number);
                    let opened: usize = own()
                        .filter(|opening| matches!(opening.point, Point::Row(rows) if rows != 1))
                        .map(|opening| opening.part.terms().len())
                        .sum();
                    assert_eq!(opened, if number == layout.quotient { 4 } else { tree.width }, "{}", tree.name);
                    let seals = own().filter(|opening| opening.point == Point::Seal).count();
                    assert_eq!(seals, usize::from(tree.root != Root::Sent), "{}", tree.name);
                }
            }
        }
    }

    /// Each would let a column be chosen after a challenge that it must not know, or say something
    /// else than its name.
    #[test]
    fn a_layout_that_means_something_else_is_refused() {
        let step = StepConstants { c1: 3277, c2: 33, lr: 5, eps: 7, ..StepConstants::default() };
        let variant = Variant { rule: Rule::Adam, s: 0, decay: false, weights_in_range: false };
        let statement = Statement::new(&variant, Preset::Standard, 13, &[step; 8], [0; 32]).unwrap();
        let good = statement.layout();
        let refused = |change: &dyn Fn(&mut Layout)| {
            let mut layout = good.clone();
            change(&mut layout);
            let ties = Plan::new(&statement, &good).ties;
            let found = layout.check().and_then(|()| layout.check_ties(&ties, statement.lengths()));
            matches!(found, Err(crate::error::Error::Statement(_)))
        };
        assert!(!refused(&|_| {}));
        assert!(refused(&|layout| layout.rounds[1].trees.push(MAIN)));
        assert!(refused(&|layout| layout.rounds[0].trees.retain(|tree| *tree != MAIN)));
        assert!(refused(&|layout| layout.rounds[0].trees.push(layout.quotient)));
        assert!(refused(&|layout| layout.rounds[0].trees.push(layout.trees.len())));
        assert!(refused(&|layout| layout.rounds[1].challenges = 0));
        assert!(refused(&|layout| layout.rounds.clear()));
        assert!(refused(&|layout| layout.quotient = MAIN));
        assert!(refused(&|layout| layout.trees[layout.quotient].salt = 0));
        assert!(refused(&|layout| layout.openings[0].tree = layout.trees.len()));
        assert!(refused(&|layout| layout.openings[0].part = Part::Base(layout.trees[MAIN].width)));
        assert!(refused(&|layout| layout.base.push(layout.openings.len())));
        assert!(refused(&|layout| layout.openings.retain(|opening| opening.tree != layout.quotient)));
        let quotient = good.quotient;
        let parts: Vec<usize> = (0..good.openings.len()).filter(|i| good.openings[*i].tree == quotient).collect();
        assert!(refused(&|layout| layout.openings.swap(parts[0], parts[1])));
        assert!(refused(&|layout| layout.openings[parts[1]].point = Point::Row(1)));
        for tie in &Plan::new(&statement, &good).ties {
            assert!(refused(&|layout| layout.openings[tie.opening].point = Point::Row(1)));
            assert!(refused(&|layout| layout.openings[tie.opening].tree = MAIN));
        }
    }
}
