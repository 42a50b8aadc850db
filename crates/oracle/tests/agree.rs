//! Both statements of the relations accept the same traces, and refuse the same.

use zk_autograd_air::field::to_signed;
use zk_autograd_air::trace::fill_row;
use zk_autograd_air::{Air, Rule, Val, Variant};
use zk_autograd_oracle::forge::forged;
use zk_autograd_oracle::golden::{lines, variants};
use zk_autograd_oracle::relations::Steps;
use zk_autograd_oracle::sample::{Random, segment, trace};
use zk_autograd_oracle::segment::{Column, Segment, has_root, has_shift};
use zk_autograd_oracle::stark::{Batch, Parameters};
use zk_autograd_oracle::verdict::{Second, Trace, completes, first, matrix};

/// The states that the rule gives, in integers, where the trace's own states and gradients are integers of the rule's range.
fn honest_ends(segment: &Segment, trace: &Trace) -> Option<Vec<Vec<i64>>> {
    let (air, constants) = Air::new(
        &Variant { rule: segment.rule, s: segment.s, decay: segment.decay, weights_in_range: segment.weights_in_range },
        &segment.steps,
    )
    .ok()?;
    let (width, steps) = (air.columns().len(), segment.steps.len());
    let mut row = vec![Val::default(); width];
    let mut ends = Vec::new();
    for (parameter, before) in trace.ends.before.iter().enumerate() {
        let mut now = [0; 3];
        for (part, value) in now.iter_mut().zip(before) {
            *part = to_signed(*value);
        }
        let in_range = match segment.rule {
            Rule::Adam | Rule::AdamW => now[1].abs() <= 1 << 45 && (0..=1 << 60).contains(&now[2]),
            Rule::Lion => now[1].abs() <= 1 << 45,
            Rule::Rmsprop => (0..=1 << 60).contains(&now[1]),
            Rule::Sgd | Rule::SgdMomentum | Rule::SgdNesterov => now[1].abs() <= 1 << 30,
        };
        if now[0].abs() >= 1 << 45 || !in_range {
            return None;
        }
        for (step, periodic) in constants.periodic.iter().enumerate() {
            let limbs = &trace.rows[parameter * steps + step][width - 2..];
            let gradient = to_signed(limbs[0]) + (to_signed(limbs[1]) << 15) - (1 << 30);
            now = fill_row(&air, periodic, now, gradient, &mut row).ok()?;
        }
        ends.push(now[..before.len()].to_vec());
    }
    Some(ends)
}

#[test]
fn the_columns_have_the_same_names_in_the_same_order() {
    let mut random = Random::new(0);
    for (rule, s, decay, weights) in variants() {
        let segment = segment(&mut random, rule, s, decay, weights, 1, 0);
        let names: Vec<&str> = segment.columns().into_iter().map(Column::name).collect();
        let air = Air::generic(&Variant { rule, s, decay, weights_in_range: weights });
        assert_eq!(names[..air.columns().len()], air.columns());
        assert_eq!(names.len() - air.columns().len(), usize::from(has_root(rule)));
        assert_eq!(segment.states(), rule.states().len());
    }
}

#[test]
fn both_accept_what_the_rule_gives() {
    let mut random = Random::new(1);
    for (rule, s, decay, weights) in variants() {
        for no_ops in [0, 1] {
            let segment = segment(&mut random, rule, s, decay, weights, 4, no_ops);
            let trace = trace(&mut random, &segment, 4).unwrap();
            assert_eq!(first(&segment, &trace).unwrap(), [], "{rule:?} {s} {decay} {weights}");
            assert!(Second::new(&segment).accepts(&trace), "{rule:?} {s} {decay} {weights}");
        }
    }
}

#[test]
fn both_judge_forged_traces_alike_and_none_has_a_second_result() {
    let mut random = Random::new(2);
    let (mut accepted, mut refused) = (0, 0);
    for (rule, s, decay, weights) in variants() {
        for no_ops in [0, 1] {
            let segment = segment(&mut random, rule, s, decay, weights, 2, no_ops);
            let second = Second::new(&segment);
            let honest = trace(&mut random, &segment, 2).unwrap();
            for case in 0..FORGERIES {
                let forged = forged(&mut random, &segment, &honest).unwrap();
                let faults = first(&segment, &forged).unwrap();
                let place = format!("{segment:?} case {case}: {faults:?}");
                assert_eq!(second.accepts(&forged), faults.is_empty(), "{place}");
                if !faults.is_empty() {
                    refused += 1;
                    continue;
                }
                accepted += 1;
                if let Some(ends) = honest_ends(&segment, &forged) {
                    let found: Vec<Vec<i64>> =
                        forged.ends.after.iter().map(|end| end.iter().map(|part| to_signed(*part)).collect()).collect();
                    assert_eq!(found, ends, "{place}");
                }
            }
        }
    }
    println!("{accepted} accepted, {refused} refused");
    assert!(accepted > 100 && refused > 100, "{accepted} accepted, {refused} refused");
}

const FORGERIES: usize = 500;

#[test]
fn another_learning_rate_coefficient_or_decay_is_refused_by_both() {
    let mut random = Random::new(3);
    for (rule, s, decay, weights) in variants() {
        let segment = segment(&mut random, rule, s, decay, weights, 4, 1);
        let trace = trace(&mut random, &segment, 4).unwrap();
        for constant in 0..5 {
            let mut other = segment.clone();
            let add = |value: &mut i64| *value = if *value > 1 { *value - 1 } else { *value + 1 };
            match constant {
                0 if rule == Rule::Rmsprop => continue,
                0 => other.steps[..3]
                    .iter_mut()
                    .for_each(|step| add(if has_shift(rule) { &mut step.mu } else { &mut step.c1 })),
                1 if !has_shift(rule) => other.steps[..3].iter_mut().for_each(|step| add(&mut step.c2)),
                2 => add(&mut other.steps[1].lr),
                3 if has_root(rule) => add(&mut other.steps[1].eps),
                4 if decay => add(&mut other.steps[1].decay),
                _ => continue,
            }
            // Not every trace feels every constant: a small learning rate's last unit may round away.
            if let Ok(faults) = first(&other, &trace) {
                assert_eq!(Second::new(&other).accepts(&trace), faults.is_empty(), "{other:?} {faults:?}");
            }
        }
    }
}

/// A proof of the trace that verifies, if there is one.
fn proved(segment: &Segment, trace: &Trace) -> bool {
    let steps = Steps::new(segment.clone(), Some(trace.ends.clone()));
    let rows = matrix(&steps, &trace.rows);
    let batch = Batch::new(steps, rows, Parameters::TEST, 7).unwrap();
    // With debug assertions the prover checks the relations itself, and panics.
    completes(|| batch.prove().unwrap()).is_some_and(|proof| batch.verify(&proof).is_ok())
}

#[test]
fn proofs_of_the_second_statement_verify_for_honest_traces_alone() {
    let mut random = Random::new(4);
    for (rule, s, decay, weights) in [
        (Rule::AdamW, 0, true, true),
        (Rule::SgdNesterov, 30, true, false),
        (Rule::SgdMomentum, 15, false, true),
        (Rule::Lion, 0, true, true),
        (Rule::Rmsprop, 0, false, true),
    ] {
        let segment = segment(&mut random, rule, s, decay, weights, 4, 1);
        let honest = trace(&mut random, &segment, 16).unwrap();
        assert!(proved(&segment, &honest), "{rule:?}");
        let mut forged = forged(&mut random, &segment, &honest).unwrap();
        while first(&segment, &forged).unwrap().is_empty() {
            forged = zk_autograd_oracle::forge::forged(&mut random, &segment, &honest).unwrap();
        }
        assert!(!proved(&segment, &forged), "{rule:?}");
    }
}

#[test]
fn the_measured_parameters_have_a_hundred_proven_bits() {
    let mut random = Random::new(5);
    let segment = segment(&mut random, Rule::Adam, 0, false, false, 1, 0);
    let rows = trace(&mut random, &segment, 64).unwrap().rows;
    for parameters in [Parameters::FASTEST, Parameters::SMALLER] {
        let steps = Steps::new(segment.clone(), None);
        let rows = matrix(&steps, &rows);
        let proven = Batch::new(steps, rows, parameters, 1).unwrap().security(20);
        assert!((100.0..104.0).contains(&proven), "{parameters:?}: {proven}");
    }
}

#[test]
fn the_traces_for_the_check_in_python_are_those_that_are_made() {
    let kept = include_str!("../../../tests/prove/native/traces.jsonl");
    let made = lines().unwrap();
    assert!(kept.lines().eq(made.iter().map(String::as_str)), "make them again: crates/oracle/examples/traces.rs");
}
