//! Honest steps at the ends of every range: what the lies of the other tests are measured against.

use zk_autograd_air::trace::fill_row;
use zk_autograd_air::{Rule, StepConstants, Val, Variant};
use zk_autograd_prover::{Masking, Progress, prove};
use zk_autograd_verifier::{Preset, Statement, verify};

use crate::support::{Example, Random, no_op};

/// A block in which every parameter begins at some combination of ends and goes on at ends, as far as the rule allows it.
fn block(rule: Rule, s: u32, steps: &[StepConstants], starts: &[[i64; 3]], gradients: &[i64]) {
    let statement =
        Statement::new(&Variant { rule, s, decay: true, weights_in_range: true }, Preset::Standard, 13, steps, [7; 32])
            .unwrap();
    let mut row = vec![Val::default(); statement.air.columns().len()];
    let mut kept = Vec::new();
    let mut random = Random(61);
    for start in starts {
        for _ in 0..40 {
            let list: Vec<i64> = steps
                .iter()
                .map(|_| gradients[usize::try_from(random.next() % gradients.len() as u64).unwrap()])
                .collect();
            let mut state = *start;
            let possible = statement.constants.periodic.iter().zip(&list).all(|(step, gradient)| {
                let gradient = if step[0] == 1 { *gradient } else { 0 };
                fill_row(&statement.air, step, state, gradient, &mut row).is_ok_and(|after| {
                    state = after;
                    true
                })
            });
            if possible {
                kept.push((*start, list));
            }
        }
    }
    let mut begun: Vec<[i64; 3]> = kept.iter().map(|(start, _)| *start).collect();
    begun.dedup();
    assert!(begun.len() * 2 > starts.len(), "{} of {} starts can go on", begun.len(), starts.len());
    let example = Example::with(
        statement,
        62,
        |element| kept[element % kept.len()].0,
        |element, step| kept[element % kept.len()].1[step],
    );
    let proof = prove(&example.statement, &example.witness(), Masking::Full, &Progress::default()).unwrap();
    assert_eq!(verify(&example.statement, &proof.commitments, &proof.bytes), Ok(()));
}

const G: [i64; 7] = [(1 << 30) - 1, 1 - (1 << 30), 0, 1, -1, 1 << 15, -(1 << 15)];
const W: [i64; 4] = [(1 << 45) - (1 << 36), (1 << 36) - (1 << 45), 0, -1];

#[test]
fn steps_of_adam_at_the_ends_of_their_ranges_verify() {
    let mut starts = Vec::new();
    for w in W {
        for m in [0, 1, -1, (1 << 45) - (1 << 15), (1 << 15) - (1 << 45)] {
            for v in [0, 1, 3, 4, 1 << 32, (1 << 60) - (1 << 31), 1 << 60] {
                starts.push([w, m, v]);
            }
        }
    }
    let step = |c1, c2, lr, eps, decay| StepConstants { c1, c2, lr, eps, decay, ..StepConstants::default() };
    // Coefficients are of the whole segment: the smallest and the largest.
    for (c1, c2) in [(1, 1), (1 << 15, 1 << 15), (3277, 33)] {
        let steps = [
            step(c1, c2, 1, 1, 1),
            step(c1, c2, 0, 1, 0),
            step(c1, c2, 1, (1 << 29) - 1, 1 << 10),
            step(c1, c2, 2, 2, 0),
            step(c1, c2, (1 << 30) - 1, (1 << 29) - 1, 0),
            step(c1, c2, 1, 1, 0),
            no_op(Rule::AdamW),
            no_op(Rule::AdamW),
        ];
        block(Rule::AdamW, 0, &steps, &starts, &G);
    }
}

#[test]
fn steps_of_sgd_at_the_ends_of_their_ranges_verify() {
    let mut starts = Vec::new();
    for w in W {
        for b in [0, 1, -1, (1 << 30) - 1, 1 - (1 << 30)] {
            starts.push([w, b, 0]);
        }
    }
    for (rule, s, mu) in [(Rule::SgdMomentum, 30, 1), (Rule::SgdNesterov, 30, 16_384), (Rule::SgdMomentum, 15, 0)] {
        let step = |lr, decay| StepConstants { mu, cg: 1 << 15, lr, decay, ..StepConstants::default() };
        let most = if s == 30 { (1 << 31) - 1 } else { (1 << 16) - 1 };
        let steps = [
            step(1, 1),
            step(most, 0),
            step(0, (1 << 28) - 1),
            step(1 << 14, 0),
            step(1, 0),
            step(most, 1),
            step(0, 0),
            no_op(rule),
        ];
        block(rule, s, &steps, &starts, &G);
    }
}

#[test]
fn steps_of_lion_at_the_ends_of_their_ranges_verify() {
    let mut starts = Vec::new();
    for w in W {
        for m in [0, 1, -1, 3277, (1 << 45) - 1, 1 - (1 << 45)] {
            starts.push([w, m, 0]);
        }
    }
    let step = |c1, c2, lr, decay| StepConstants { c1, c2, lr, decay, ..StepConstants::default() };
    for (c1, c2) in [(1, 1), (1 << 15, 1 << 15), (3277, 328)] {
        let steps = [
            step(c1, c2, 1, 1),
            step(c1, c2, 0, 0),
            step(c1, c2, (1 << 30) - 1, 1 << 10),
            step(c1, c2, 429_497, (1 << 28) - 1),
            step(c1, c2, (1 << 30) - 1, 0),
            step(c1, c2, 1, 0),
            no_op(Rule::Lion),
            no_op(Rule::Lion),
        ];
        block(Rule::Lion, 0, &steps, &starts, &G);
    }
}

#[test]
fn steps_of_rmsprop_at_the_ends_of_their_ranges_verify() {
    let mut starts = Vec::new();
    for w in W {
        for v in [0, 1, 3, 4, 1 << 32, (1 << 60) - (1 << 31), 1 << 60] {
            starts.push([w, v, 0]);
        }
    }
    let step = |c2, lr, eps, decay| StepConstants { c2, lr, eps, decay, ..StepConstants::default() };
    for c2 in [1, 1 << 15, 328] {
        let steps = [
            step(c2, 1, 1, 1),
            step(c2, 0, 1, 0),
            step(c2, 1, (1 << 29) - 1, 1 << 10),
            step(c2, 2, 2, 0),
            step(c2, (1 << 30) - 1, (1 << 29) - 1, 0),
            step(c2, 1, 1, 0),
            no_op(Rule::Rmsprop),
            no_op(Rule::Rmsprop),
        ];
        block(Rule::Rmsprop, 0, &steps, &starts, &G);
    }
}
