//! Every relation, lookup and next value, left out or weakened: a lie passes then that it alone stood against.
//!
//! The relations are taken as `zk-autograd-air` states them, one set for each rule, shift and variant. A relation is weakened so that
//! it may be off by one, a doubled lookup so that the doubling is forgotten. For each such mutant a forged trace is found that the mutant
//! accepts, and that the relations as they are refuse for the one that was changed, by its name, and for no other. `python -m
//! tests.mutation air` changes the sources themselves: every number and sign, too.

use std::collections::BTreeSet;

use p3_field::{PrimeCharacteristicRing, PrimeField64};
use zk_autograd_air::describe::{Description, describe};
use zk_autograd_air::field::{from_signed, to_signed};
use zk_autograd_air::trace::fill_row;
use zk_autograd_air::{Air, Collected, Periodic, Rule, Val, Variant, evaluate};
use zk_autograd_oracle::forge::forged;
use zk_autograd_oracle::golden::variants;
use zk_autograd_oracle::sample::{Random, no_op, segment, trace};
use zk_autograd_oracle::segment::Segment;
use zk_autograd_oracle::verdict::{Fault, Trace, first};

/// What is done to one of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Change {
    LeftOut,
    Weakened,
}

/// Segments of each set of relations, and forgeries of each segment: so many until all mutants have their lie.
const SEGMENTS: usize = 40;
const TRIED: usize = 4_000;

/// The values by which a trace breaks its only relation, lookup or next value; none if it breaks several, or nothing.
fn broken_alone(segment: &Segment, trace: &Trace) -> Option<(Fault, Vec<Val>)> {
    let faults = first(segment, trace).unwrap();
    let only = *faults.first()?;
    if faults.iter().any(|fault| *fault != only) {
        return None;
    }
    let (air, constants) = Air::new(&variant(segment), &segment.steps).unwrap();
    let steps = segment.steps.len();
    let values = trace.rows.iter().enumerate().map(|(index, row)| {
        let mut collected = Collected::default();
        let periodic = Periodic::from_array(constants.periodic[index % steps].map(from_signed));
        evaluate(&air, row, &periodic, &mut collected);
        match only {
            Fault::Relation(which) => collected.zeros[which],
            Fault::Lookup(which) => collected.ranges[which],
            Fault::Before | Fault::After => Val::ZERO,
        }
    });
    Some((only, values.collect()))
}

fn variant(segment: &Segment) -> Variant {
    Variant { rule: segment.rule, s: segment.s, decay: segment.decay, weights_in_range: segment.weights_in_range }
}

/// Whether the trace passes if what it breaks is weakened.
fn passes_weakened(fault: Fault, values: &[Val]) -> bool {
    match fault {
        Fault::Relation(_) => values.iter().all(|value| *value == Val::ZERO || *value == Val::ONE),
        Fault::Lookup(_) => values.iter().all(|value| value.as_canonical_u64() < 1 << 17),
        Fault::Before | Fault::After => false,
    }
}

/// All mutants of a set of relations, by the changed one's name.
fn mutants(description: &Description) -> BTreeSet<(String, Change)> {
    let relations = description.zeros.iter().map(|(name, _)| (*name, true));
    let lookups = description.ranges.iter().map(|(name, _)| (*name, name.starts_with("2 ")));
    let mut all = BTreeSet::new();
    for (name, weakened) in relations.chain(lookups).chain([("before", false), ("after", false)]) {
        all.insert((name.to_owned(), Change::LeftOut));
        if weakened {
            all.insert((name.to_owned(), Change::Weakened));
        }
    }
    all
}

/// A trace whose no-op step, the second, has a gradient: the rest of its row is as the rule gives it.
fn busy_no_op(segment: &Segment, honest: &Trace) -> Trace {
    let (air, constants) = Air::new(&variant(segment), &segment.steps).unwrap();
    let states = air.rule().states().len();
    let mut busy = honest.clone();
    let mut state = [0; 3];
    for (part, value) in state.iter_mut().zip(&honest.rows[1][..states]) {
        *part = to_signed(*value);
    }
    let after = fill_row(&air, &constants.periodic[1], state, 1, &mut busy.rows[1]).unwrap();
    busy.ends.after[0] = after[..states].iter().map(|part| from_signed(*part)).collect();
    busy
}

/// A trace whose weight is half an integer all along.
fn half_weight(honest: &Trace) -> Trace {
    let mut half = honest.clone();
    for row in half.rows.iter_mut().chain(&mut half.ends.before).chain(&mut half.ends.after) {
        row[0] += Val::ONE.halve();
    }
    half
}

/// The name of what a trace breaks.
fn name(description: &Description, fault: Fault) -> String {
    match fault {
        Fault::Relation(which) => description.zeros[which].0.to_owned(),
        Fault::Lookup(which) => description.ranges[which].0.to_owned(),
        Fault::Before => "before".to_owned(),
        Fault::After => "after".to_owned(),
    }
}

#[test]
fn each_relation_and_lookup_stands_against_a_lie_of_its_own() {
    // With decay and a range for the weights a rule has all its relations.
    assert_eq!(lies(variants().filter(|(_, _, decay, weights)| *decay && *weights)), MUTANTS_OF_THE_WHOLE);
}

#[test]
#[ignore = "half a minute: make test-all"]
fn each_stands_against_one_in_every_variant() {
    assert_eq!(lies(variants()), MUTANTS);
}

const MUTANTS_OF_THE_WHOLE: usize = 356;
const MUTANTS: usize = 1_224;

/// Finds a lie for every mutant of these sets of relations; how many there are.
fn lies(variants: impl Iterator<Item = (Rule, u32, bool, bool)>) -> usize {
    let mut random = Random::new(6);
    let (mut count, mut without) = (0, Vec::new());
    for (rule, s, decay, weights) in variants {
        let air = Air::generic(&Variant { rule, s, decay, weights_in_range: weights });
        let description = describe(&air);
        let mut left = mutants(&description);
        count += left.len();
        for _ in 0..SEGMENTS {
            if left.is_empty() {
                break;
            }
            let whole = segment(&mut random, rule, s, decay, weights, 2, 0);
            let ended = Segment { steps: vec![whole.steps[0], no_op(rule)], ..whole.clone() };
            let honest = trace(&mut random, &ended, 1).unwrap();
            let busy = busy_no_op(&ended, &honest);
            let honest = trace(&mut random, &whole, 1).unwrap();
            assert_eq!(first(&whole, &honest).unwrap(), []);
            let drawn = (0..TRIED).map(|_| (&whole, forged(&mut random, &whole, &honest).unwrap()));
            let lies = [(&ended, busy), (&whole, half_weight(&honest))].into_iter().chain(drawn);
            for (segment, lie) in lies {
                if left.is_empty() {
                    break;
                }
                if let Some((fault, values)) = broken_alone(segment, &lie) {
                    left.remove(&(name(&description, fault), Change::LeftOut));
                    if passes_weakened(fault, &values) {
                        left.remove(&(name(&description, fault), Change::Weakened));
                    }
                }
            }
        }
        without.extend(left.into_iter().map(|mutant| (rule, s, decay, weights, mutant)));
    }
    assert!(without.is_empty(), "no lie was found for {without:?}");
    count
}
