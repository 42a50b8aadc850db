//! The verifier's parts, each called alone, and the whole of them under a transcript that says what a test wants it to say: challenges
//! that no prover could find, like a point in the domain.

#![allow(dead_code, missing_docs, clippy::pedantic, clippy::wrong_self_convention)]

#[path = "../src/batch.rs"]
mod batch;
#[path = "../src/codec.rs"]
mod codec;
#[path = "../src/composition.rs"]
mod composition;
#[path = "../src/digest.rs"]
mod digest;
#[path = "../src/error.rs"]
mod error;
#[path = "../src/fri.rs"]
mod fri;
#[path = "../src/lengths.rs"]
mod lengths;
#[path = "../src/lookups.rs"]
mod lookups;
#[path = "../src/merkle.rs"]
mod merkle;
#[path = "../src/parameters.rs"]
mod parameters;
#[path = "../src/range.rs"]
mod range;
#[path = "../src/sealed.rs"]
mod sealed;
#[path = "../src/segment.rs"]
mod segment;
#[path = "../src/shape.rs"]
mod shape;
#[path = "../src/statement.rs"]
mod statement;
#[path = "../src/table.rs"]
mod table;
#[path = "../src/verify.rs"]
mod verify;

/// The transcript's place: it says what it was told to, and takes any work.
mod transcript {
    use std::cell::RefCell;
    use std::collections::VecDeque;

    use p3_field::PrimeCharacteristicRing;
    use zk_autograd_air::{Ext, Val};

    use crate::codec::extension;
    use crate::digest::Digest;
    use crate::error::Error;

    #[derive(Default)]
    pub struct Script {
        /// The challenges, in their order; after them, some that are no elements of the base field.
        pub challenges: VecDeque<Ext>,
        /// What was asked for.
        pub works: Vec<(&'static str, usize)>,
        pub indices: usize,
        pub absorbed: usize,
    }

    thread_local! {
        pub static SCRIPT: RefCell<Script> = RefCell::default();
    }

    #[derive(Clone)]
    pub struct Transcript;

    impl Transcript {
        pub fn new(_: &[u8]) -> Self {
            Self
        }
        pub fn root(&mut self, _: &Digest) {
            SCRIPT.with_borrow_mut(|script| script.absorbed += 1);
        }
        pub fn elements(&mut self, values: &[Ext]) {
            SCRIPT.with_borrow_mut(|script| script.absorbed += values.len());
        }
        pub fn challenge(&mut self) -> Ext {
            SCRIPT.with_borrow_mut(|script| {
                script.challenges.pop_front().unwrap_or(extension(Val::from_u64(3), Val::from_u64(5)))
            })
        }
        /// Always the same one.
        pub fn index(&mut self, bits: usize) -> usize {
            SCRIPT.with_borrow_mut(|script| script.indices += 1);
            (1 << bits) - 1
        }
        pub fn check_work(&mut self, bits: usize, _: Val, before: &'static str) -> Result<(), Error> {
            SCRIPT.with_borrow_mut(|script| script.works.push((before, bits)));
            Ok(())
        }
    }
}

use p3_field::{Field, PrimeCharacteristicRing, TwoAdicField};
use zk_autograd_air::{Air, Ext, Rule, StepConstants, Val, Variant};

use codec::{Reader, extension};
use composition::{last_rows, periodic_at};
use digest::Digest;
use error::Error;
use fri::SHIFT;
use merkle::{check_opening, leaf, missing_siblings, node};
use parameters::{LOG_PARAMS, LOG_ROWS, MASK, Preset};
use sealed::{Sealed, is_base};
use statement::{Commitments, Statement};
use table::Table;
use transcript::{SCRIPT, Script};
use verify::shifted;

const ADAM: StepConstants = StepConstants { c1: 3277, c2: 33, mu: 0, cg: 0, lr: 5, eps: 7, decay: 0 };

fn statement(preset: Preset) -> Statement {
    Statement::new(
        &Variant { rule: Rule::Adam, s: 0, decay: false, weights_in_range: false },
        preset,
        13,
        &[ADAM; 8],
        [7; 32],
    )
    .unwrap()
}

fn sealed(number: u8) -> Sealed {
    Sealed { root: [number; 32], work: Val::ZERO, value: Ext::from(Val::from_u8(number)) }
}

fn commitments(states: usize) -> Commitments {
    let list = |from: u8| (0..states).map(|i| sealed(from + i as u8)).collect();
    Commitments { state_in: list(10), state_out: list(20), gradient: sealed(30) }
}

fn tell(challenges: impl IntoIterator<Item = Ext>) {
    SCRIPT.set(Script { challenges: challenges.into_iter().collect(), ..Script::default() });
}

/// An element that is none of the base field's.
fn outside(number: u64) -> Ext {
    extension(Val::from_u64(1000 + number), Val::from_u64(1 + number))
}

/// The verdict on a proof of zeros, if the out-of-domain point is `point`.
fn at(point: Ext, preset: Preset) -> Result<(), Error> {
    let statement = statement(preset);
    tell([outside(1), outside(2), point]);
    verify::verify(&statement, &commitments(statement.shape.states), &vec![0; 1 << 22])
}

/// Points of the domains, of their cosets, and others of the base field.
fn base_points(shape: &shape::Shape) -> Vec<Val> {
    let mut points = vec![Val::ZERO, Val::ONE, Val::NEG_ONE, Val::GENERATOR, Val::from_u64(12_345)];
    for log_size in [
        shape.lengths.log_steps,
        shape.lengths.log_params,
        shape.lengths.log_rows(),
        shape.lengths.log_row_words(),
        shape.lengths.log_state_words(),
        32,
    ] {
        let root = Val::two_adic_generator(log_size);
        points.extend([root, root.square(), root.exp_u64(77), root.inverse(), SHIFT * root, SHIFT * root.exp_u64(99)]);
    }
    // A queried point of the rows' words: the index that this transcript draws.
    points.push(SHIFT * fri::point((1 << shape.lengths.log_row_words()) - 1, shape.lengths.log_row_words()));
    points
}

#[test]
fn a_point_in_the_base_field_is_refused_wherever_it_lies() {
    let shape = statement(Preset::Standard).shape;
    for point in base_points(&shape) {
        assert_eq!(at(Ext::from(point), Preset::Standard), Err(Error::Point), "{point}");
    }
    // Any other is taken, and the zeros are no values of the polynomials there.
    for number in 0..5 {
        assert_eq!(at(outside(number), Preset::Standard), Err(Error::Relations));
    }
    assert_eq!(at(extension(Val::ZERO, Val::ONE), Preset::Standard), Err(Error::Relations));
}

#[test]
fn the_identity_alone_is_not_checked_where_a_divisor_vanishes() {
    let statement = statement(Preset::Standard);
    let shape = &statement.shape;
    let values = vec![Ext::ZERO; shape.out_of_domain()];
    let layout = statement.layout();
    let claims = layout.claims(&values, &commitments(shape.states).in_tree_order()).unwrap();
    let check =
        |point: Val| composition::check(&statement, &layout, &claims, &[outside(1), outside(2)], Ext::from(point));
    for log_size in [shape.lengths.log_steps, shape.lengths.log_params, shape.lengths.log_rows()] {
        for power in [0, 1, 2, 5] {
            let point = Val::two_adic_generator(log_size).exp_u64(power);
            assert_eq!(check(point), Err(Error::Point), "{log_size} {power}");
        }
    }
    assert_eq!(check(Val::GENERATOR), Err(Error::Relations));
    // Nor with another number of claims, or without challenges.
    let other =
        |claims: &[Ext], challenges: &[Ext]| composition::check(&statement, &layout, claims, challenges, outside(3));
    assert_eq!(other(&claims[..5], &[outside(1), outside(2)]), Err(Error::Relations));
    assert_eq!(other(&claims, &[]), Err(Error::Relations));
}

#[test]
fn a_seal_whose_point_is_in_the_base_field_is_refused() {
    let statement = statement(Preset::Standard);
    let (shape, layout) = (&statement.shape, statement.layout());
    let all = commitments(shape.states).in_tree_order();
    let points = |out_of_domain| batch::points(&shape.lengths, &layout, &all, out_of_domain);
    let names: Vec<&str> = core::iter::once("of the gradient")
        .chain(core::iter::repeat_n("of a state before the segment", shape.states))
        .chain(core::iter::repeat_n("of a state after the segment", shape.states))
        .collect();
    for (place, name) in names.iter().enumerate() {
        for point in base_points(shape) {
            tell((0..names.len()).map(|i| if i == place { Ext::from(point) } else { outside(i as u64) }));
            let refused = points(outside(9));
            assert_eq!(refused.err(), Some(Error::Commitment(name)), "{place} {point}");
        }
    }
    // Where all are taken, nothing that is divided by is zero: each point lies outside the base field, and what it is taken from inside.
    for number in 0..50 {
        tell((0..names.len()).map(|i| outside(number + i as u64)));
        for point in &points(outside(number)).unwrap() {
            assert!(!is_base(point));
            for x in base_points(shape) {
                assert!((Ext::from(x) - *point).try_inverse().is_some());
            }
        }
    }
}

#[test]
fn what_is_in_the_base_field() {
    for point in base_points(&statement(Preset::Standard).shape) {
        assert!(is_base(&Ext::from(point)));
        assert!(!is_base(&extension(point, Val::ONE)));
        assert!(!is_base(&extension(point, Val::NEG_ONE)));
    }
}

/// The bound of docs/soundness.md counts draws with replacement: none is drawn again for being there already, and none is left out.
#[test]
fn as_many_queries_are_drawn_as_are_counted() {
    for preset in Preset::ALL {
        let shape = statement(preset).shape;
        assert_eq!(at(outside(1), preset), Err(Error::Relations));
        SCRIPT.with_borrow(|script| {
            assert_eq!(script.indices, shape.lengths.queries);
            let folds = shape.lengths.folds.iter().map(|_| ("of a fold", parameters::FOLD_BITS));
            let works: Vec<(&str, usize)> = [
                ("of the lookups", parameters::LOOKUP_BITS),
                ("of the point", parameters::POINT_BITS),
                ("of the batch", parameters::BATCH_BITS),
            ]
            .into_iter()
            .chain(folds)
            .chain([("of the queries", parameters::QUERY_BITS)])
            .collect();
            assert_eq!(script.works, works);
            // Three roots and one of each fold, the values at the point, the final polynomial.
            assert_eq!(
                script.absorbed,
                3 + shape.lengths.folds.len() + shape.out_of_domain() + shape.lengths.final_length
            );
        });
    }
}

#[test]
fn a_proof_that_ends_in_any_message_is_too_short() {
    let statement = statement(Preset::Standard);
    let all = commitments(statement.shape.states);
    let shape = &statement.shape;
    let messages = 32
        + 8
        + 32
        + 32
        + 8
        + 16 * shape.out_of_domain()
        + 8
        + 40 * shape.lengths.folds.len()
        + 16 * shape.lengths.final_length
        + 8;
    for length in (0..messages).step_by(97).chain([messages - 1]) {
        tell([]);
        assert_eq!(verify::verify(&statement, &all, &vec![0; length]), Err(Error::Length), "{length}");
    }
    tell([]);
    assert_eq!(verify::verify(&statement, &all, &vec![0; messages]), Err(Error::Relations));
    for states in [0, 1, 2, 4] {
        let verdict = verify::verify(&statement, &commitments(states), &vec![0; messages]);
        assert!(matches!(verdict, Err(Error::Statement(_))));
    }
    // As many in all, and one of those after the segment given as one before it.
    let mut moved = commitments(shape.states);
    moved.state_in.push(moved.state_out.remove(0));
    tell([]);
    assert!(matches!(verify::verify(&statement, &moved, &vec![0; messages]), Err(Error::Statement(_))));
}

/// A claim that didn't stand in the batch could be any value: the identity alone is one equation.
#[test]
fn every_claim_and_every_column_stands_in_the_batch() {
    let statement = statement(Preset::Standard);
    let (shape, layout) = (&statement.shape, statement.layout());
    let sealed = commitments(shape.states).in_tree_order();
    tell((0..sealed.len()).map(|i| outside(i as u64)));
    let points = batch::points(&shape.lengths, &layout, &sealed, outside(100)).unwrap();
    let claims: Vec<Ext> = (0..layout.openings.len() as u64).map(|i| outside(1000 + i * i)).collect();
    let rows: Vec<Vec<Val>> =
        layout.trees.iter().map(|tree| (7..).map(Val::from_u64).take(tree.width).collect()).collect();
    let words = |claims: &[Ext], rows: &[Vec<Val>]| {
        let batch = batch::Batch::new(&layout, claims, &points, outside(5));
        [batch.rows(Val::TWO, |tree| &rows[tree]), batch.lines(Val::TWO, |tree| &rows[tree])]
    };
    let own = words(&claims, &rows);
    let changed = |other: [Ext; 2], tree: usize| {
        let lines = layout.trees[tree].domain == lengths::Domain::Lines;
        assert_eq!([own[0] != other[0], own[1] != other[1]], [!lines, lines], "{}", layout.trees[tree].name);
    };
    for (place, opening) in layout.openings.iter().enumerate() {
        let mut claims = claims.clone();
        claims[place] += Ext::ONE;
        changed(words(&claims, &rows), opening.tree);
    }
    for tree in 0..rows.len() {
        for column in 0..rows[tree].len() {
            let mut rows = rows.clone();
            rows[tree][column] += Val::ONE;
            changed(words(&claims, &rows), tree);
        }
    }
}

// ---- parts

#[test]
fn out_of_domain_values_have_one_count() {
    let statement = statement(Preset::Standard);
    let (count, layout) = (statement.shape.out_of_domain(), statement.layout());
    let sealed = commitments(statement.shape.states).in_tree_order();
    for wrong in [0, 1, count - 1, count + 1, 2 * count] {
        assert!(layout.claims(&vec![Ext::ONE; wrong], &sealed).is_none(), "{wrong}");
    }
    assert!(layout.claims(&vec![Ext::ONE; count], &sealed[1..]).is_none());
    assert!(layout.claims(&vec![Ext::ONE; count], &[&sealed[..], &sealed[..1]].concat()).is_none());
    let claims = layout.claims(&vec![Ext::ONE; count], &sealed).unwrap();
    assert_eq!(claims.len(), layout.openings.len());
    // Seals' values come from the commitments, all others from the proof.
    for (opening, claim) in layout.openings.iter().zip(claims) {
        let own = layout.sealed().position(|tree| tree == opening.tree).map(|place| sealed[place].value);
        assert_eq!(claim, if opening.point == table::Point::Seal { own.unwrap() } else { Ext::ONE });
    }
}

/// A tree over rows of one value, level by level from the leaves.
fn tree(depth: usize) -> Vec<Vec<Digest>> {
    let mut levels = vec![(0..1_u64 << depth).map(|i| leaf(&[Val::from_u64(i)], &[1; 16])).collect::<Vec<_>>()];
    while levels.last().unwrap().len() > 1 {
        let next = levels.last().unwrap().chunks_exact(2).map(|pair| node(&pair[0], &pair[1])).collect();
        levels.push(next);
    }
    levels
}

#[test]
fn a_path_of_a_level_less_or_more_leads_nowhere() {
    let depth = 6;
    let levels = tree(depth);
    let root = levels[depth][0];
    for indices in [vec![0], vec![63], vec![5, 6], vec![8, 9], vec![0, 1, 2, 3, 40], (0..64).collect::<Vec<_>>()] {
        let bytes: Vec<u8> = missing_siblings(&indices, depth)
            .iter()
            .enumerate()
            .flat_map(|(level, list)| list.iter().flat_map(|i| levels[level][*i]).collect::<Vec<u8>>())
            .collect();
        let leaves: Vec<Digest> = indices.iter().map(|i| levels[0][*i]).collect();
        let open = |bytes: &[u8], depth: usize, indices: &[usize], leaves: &[Digest]| {
            let mut reader = Reader::new(bytes);
            check_opening(&mut reader, &root, depth, indices, leaves.to_vec(), "tree").and_then(|()| reader.end())
        };
        assert_eq!(open(&bytes, depth, &indices, &leaves), Ok(()));
        let longer = [&bytes[..], &[0; 32]].concat();
        for other in [0, 1, depth - 1, depth + 1, depth + 2, 40] {
            for bytes in [&bytes[..], &longer, &[]] {
                assert!(open(bytes, other, &indices, &leaves).is_err(), "{indices:?} {other}");
            }
        }
        assert!(open(&longer, depth, &indices, &leaves).is_err());
        assert!(open(&bytes[..bytes.len().saturating_sub(32)], depth, &indices, &leaves).is_err() || bytes.is_empty());
        // Other leaves, and other places of them.
        let mut changed = leaves.clone();
        changed[0][31] ^= 1;
        assert!(open(&bytes, depth, &indices, &changed).is_err());
        let moved: Vec<usize> = indices.iter().map(|i| (i + 1) % 64).collect();
        if moved.is_sorted() {
            assert!(open(&bytes, depth, &moved, &leaves).is_err());
        }
        // Beyond the tree: the same path, and an index that has no leaf.
        let beyond: Vec<usize> = indices.iter().map(|i| i + (1 << depth)).collect();
        assert!(open(&bytes, depth, &beyond, &leaves).is_err());
        assert!(open(&bytes, depth, &[], &[]).is_err());
        // A node in the place of a leaf, one level up: a leaf's index lies below 2^depth, and the root is reached nowhere else.
        let up: Vec<usize> = shifted(&indices, 1);
        let nodes: Vec<Digest> = up.iter().map(|i| levels[1][*i]).collect();
        let above = missing_siblings(&indices, depth)[0].len() * 32;
        assert_eq!(open(&bytes[above..], depth - 1, &up, &nodes), Ok(()));
        assert!(open(&bytes, depth, &up, &nodes).is_err());
    }
}

#[test]
fn a_reader_asked_for_more_than_there_is_takes_no_memory_for_it() {
    for count in [1, 1 << 40, usize::MAX / 16, usize::MAX / 16 + 1, usize::MAX] {
        assert_eq!(Reader::new(&[0; 15]).elements(count), Err(Error::Length));
        assert_eq!(Reader::new(&[0; 15]).bytes(16.max(count)), Err(Error::Length));
    }
    assert_eq!(Reader::new(&[]).elements(0), Ok(vec![]));
}

#[test]
fn a_word_folds_as_a_polynomial_does() {
    // f = sum of c_i X^i on the subgroup: a group's fold at c is the part of f whose exponents are i 2^a + j, weighted by c^j.
    for log_arity in 1..=3 {
        let log_size = 7;
        let coefficients: Vec<Ext> = (0..1 << log_size).map(|i| outside(i * i + 1)).collect();
        let challenge = outside(4);
        let value = |list: &[Ext], x: Val| list.iter().rev().fold(Ext::ZERO, |sum, c| sum * x + *c);
        let folded: Vec<Ext> = coefficients
            .chunks_exact(1 << log_arity)
            .map(|part| part.iter().rev().fold(Ext::ZERO, |sum, c| sum * challenge + *c))
            .collect();
        for group in [0, 1, 5, (1 << (log_size - log_arity)) - 1] {
            let from = group << log_arity;
            let word: Vec<Ext> =
                (from..from + (1 << log_arity)).map(|i| value(&coefficients, fri::point(i, log_size))).collect();
            let found = fri::fold_group(&word, group, log_size, challenge);
            assert_eq!(found, value(&folded, fri::point(group, log_size - log_arity)), "{log_arity} {group}");
            // Of another group, another size, another challenge: another value.
            assert_ne!(fri::fold_group(&word, group ^ 1, log_size, challenge), found);
            assert_ne!(fri::fold_group(&word, group, log_size, challenge.square()), found);
        }
    }
}

/// What a build with assertions looks at, and another doesn't: it holds for all sizes that the field has.
#[test]
fn the_rows_generator_to_the_power_n_is_the_steps() {
    for log_params in 0..=32 {
        for log_steps in 0..=32 - log_params {
            let steps = Val::two_adic_generator(log_steps);
            assert_eq!(Val::two_adic_generator(log_params + log_steps).exp_power_of_2(log_params), steps);
            assert_eq!(last_rows(log_params, log_steps) * steps, Val::ONE);
        }
    }
}

#[test]
fn constants_are_none_at_a_step() {
    let statement = statement(Preset::Standard);
    let shape = &statement.shape;
    for row in [0, 1, 9, (1 << shape.lengths.log_rows()) - 1] {
        let point = Val::two_adic_generator(shape.lengths.log_rows()).exp_u64(row);
        assert!(periodic_at(&statement.periodic(), shape.lengths.log_params, Ext::from(point)).is_none());
    }
    assert!(periodic_at(&statement.periodic(), shape.lengths.log_params, outside(1)).is_some());
    assert_eq!(
        periodic_at(&[], shape.lengths.log_params, outside(1)),
        Some(vec![]),
        "a table without periodic columns"
    );
}

/// The rate that the bits are computed at is the one that is enforced: with the masks of the longest words that are tested, for every shape.
#[test]
fn the_bits_are_those_of_the_enforced_lengths() {
    use zk_autograd_verifier::soundness::Sizes;
    use zk_autograd_verifier::{Preset, Shape};

    for rule in Rule::ALL {
        for (decay, first) in [(false, false), (true, true)] {
            let air = Air::generic(&Variant { rule, s: 30, decay, weights_in_range: first });
            for log_rows in LOG_ROWS {
                for log_params in *LOG_PARAMS.start()..=log_rows {
                    for preset in Preset::ALL {
                        let shape = Shape::new(&air, preset, log_params, log_rows - log_params).unwrap();
                        let sizes = Sizes::new(&shape);
                        let (rows, params) = ((1_usize << log_rows) as f64, (1_usize << log_params) as f64);
                        let mask = MASK as f64;
                        // The quotient's parts have n + 3 k coefficients, a state N + k, in words twice as long as without them.
                        assert!(sizes.rate * 2.0 * rows >= rows + 3.0 * mask, "{shape:?}");
                        assert!(sizes.rate * 2.0 * params >= params + mask, "{shape:?}");
                        assert!((sizes.domain - 2.0 * rows).abs() < 0.5);
                        assert!(sizes.length >= rows + 3.0 * mask + 1.0);
                        assert!((sizes.queries - shape.lengths.queries as f64).abs() < 0.5);
                        // As many as the preset has for a rate no lower than the enforced one.
                        let rate = (sizes.rate * 256.0).ceil() as usize;
                        assert_eq!(Some(shape.lengths.queries), preset.queries(rate));
                        assert!(preset.queries(rate) >= preset.queries(128), "{rate}");
                    }
                }
            }
        }
    }
}
