//! No length, count or constant comes from a proof: with another one on the verifier's side, a true proof is none.

mod support;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::OnceLock;

use support::{Choice, Example};
use zk_autograd_air::{Air, Rule, Variant};
use zk_autograd_prover::{Masking, Progress, Proof, prove};
use zk_autograd_verifier::{Error, Preset, Shape, Statement, verify};

const CHOICE: Choice =
    Choice { rule: Rule::SgdMomentum, s: 30, decay: true, first: false, log_params: 13, steps: 8, no_ops: 1 };

fn proved() -> &'static (Statement, Proof) {
    static PROVED: OnceLock<(Statement, Proof)> = OnceLock::new();
    PROVED.get_or_init(|| {
        let example = Example::new(&CHOICE, Preset::Standard, 71);
        let proof = prove(&example.statement, &example.witness(), Masking::Full, &Progress::default()).unwrap();
        assert_eq!(verify(&example.statement, &proof.commitments, &proof.bytes), Ok(()));
        (example.statement, proof)
    })
}

/// The verdict under another statement. A panic is one of the test's own making, which no proof could cause: it accepts nothing either.
fn under(change: impl FnOnce(&mut Statement)) -> Result<(), Error> {
    let (statement, proof) = proved();
    let mut changed = statement.clone();
    change(&mut changed);
    catch_unwind(AssertUnwindSafe(|| verify(&changed, &proof.commitments, &proof.bytes))).unwrap_or(Err(Error::Length))
}

#[test]
fn every_size_of_a_proof_is_the_statements() {
    type Change = fn(&mut Shape, usize);
    let sizes: [(&str, Change); 10] = [
        ("log_params", |shape, by| shape.lengths.log_params = shape.lengths.log_params.wrapping_add(by)),
        ("log_steps", |shape, by| shape.lengths.log_steps = shape.lengths.log_steps.wrapping_add(by)),
        ("main", |shape, by| shape.main = shape.main.wrapping_add(by)),
        ("gradient", |shape, by| shape.gradient = shape.gradient.wrapping_add(by)),
        ("helpers", |shape, by| shape.helpers = shape.helpers.wrapping_add(by)),
        ("states", |shape, by| shape.states = shape.states.wrapping_add(by)),
        ("folds_to_states", |shape, by| shape.lengths.folds_to_states = shape.lengths.folds_to_states.wrapping_add(by)),
        ("final_length", |shape, by| shape.lengths.final_length = shape.lengths.final_length.wrapping_add(by)),
        ("queries", |shape, by| shape.lengths.queries = shape.lengths.queries.wrapping_add(by)),
        ("folds", |shape, by| shape.lengths.folds[0] = shape.lengths.folds[0].wrapping_add(by)),
    ];
    for (name, change) in sizes {
        for by in [1, usize::MAX] {
            assert!(under(|statement| change(&mut statement.shape, by)).is_err(), "{name} {by}");
        }
    }
}

#[test]
fn a_fold_less_or_more_is_another_proof() {
    assert!(under(|statement| _ = statement.shape.lengths.folds.pop()).is_err());
    assert!(under(|statement| statement.shape.lengths.folds.clear()).is_err());
    assert!(under(|statement| statement.shape.lengths.folds.push(1)).is_err());
    assert!(under(|statement| statement.shape.lengths.folds.push(0)).is_err());
    assert!(under(|statement| statement.shape.lengths.folds.insert(0, 1)).is_err());
    for place in 0..proved().0.shape.lengths.folds.len() {
        assert!(under(|statement| _ = statement.shape.lengths.folds.remove(place)).is_err());
    }
}

#[test]
fn every_public_value_is_in_the_transcript() {
    let bound = Err(Error::ProofOfWork("of the lookups"));
    for place in 0..32 {
        for bit in [0, 7] {
            assert_eq!(under(|statement| statement.context[place] ^= 1 << bit), bound, "{place}");
        }
    }
    assert_eq!(under(|statement| statement.constants.first += 1), bound);
    assert_eq!(under(|statement| statement.constants.second += 1), bound);
    let steps = proved().0.constants.periodic.len();
    for step in 0..steps {
        for value in 0..4 {
            for by in [1, -1, 1 << 32, i64::MIN] {
                let verdict = under(|statement| {
                    let place = &mut statement.constants.periodic[step][value];
                    *place = place.wrapping_add(by);
                });
                assert_eq!(verdict, bound, "{step} {value} {by}");
            }
        }
        let verdict = under(|statement| statement.constants.periodic.swap(step, (step + 1) % steps));
        let same = proved().0.constants.periodic[step] == proved().0.constants.periodic[(step + 1) % steps];
        assert_eq!(verdict.is_ok(), same, "{step}");
    }
    assert_eq!(under(|statement| _ = statement.constants.periodic.pop()), bound);
    assert_eq!(under(|statement| statement.constants.periodic.push([0; 4])), bound);
    assert_eq!(under(|statement| statement.preset = Preset::Strict), bound);
    for rule in Rule::ALL {
        for (decay, first) in [(false, false), (false, true), (true, false), (true, true)] {
            for s in [15, 30] {
                let own = rule == CHOICE.rule && s == CHOICE.s && decay == CHOICE.decay && first == CHOICE.first;
                if !own {
                    let verdict = under(|statement| {
                        statement.air = Air::generic(&Variant { rule, s, decay, weights_in_range: first });
                    });
                    assert_eq!(verdict, bound, "{rule:?} {s} {decay} {first}");
                }
            }
        }
    }
}
