//! Every rule's proofs verify, and only for their own statement.

mod support;

use support::{Choice, Example};
use zk_autograd_air::Rule;
use zk_autograd_prover::{Masking, Progress, commit, prove};
use zk_autograd_verifier::{Preset, verify};

fn check(choice: &Choice, preset: Preset) {
    let example = Example::new(choice, preset, 1);
    let proof = prove(&example.statement, &example.witness(), Masking::Full, &Progress::default()).unwrap();
    verify(&example.statement, &proof.commitments, &proof.bytes).unwrap();
}

#[test]
fn adam_verifies() {
    check(
        &Choice { rule: Rule::Adam, s: 0, decay: false, first: false, log_params: 13, steps: 8, no_ops: 0 },
        Preset::Standard,
    );
}

#[test]
fn the_variants_of_every_rule_verify() {
    for (i, rule) in Rule::ALL.into_iter().enumerate() {
        let s = if rule.shifts().is_empty() {
            0
        } else if i % 2 == 0 {
            15
        } else {
            30
        };
        check(
            &Choice { rule, s, decay: true, first: i % 2 == 1, log_params: 13, steps: 8, no_ops: 3 },
            Preset::Standard,
        );
        check(
            &Choice { rule, s, decay: false, first: i % 2 == 0, log_params: 14, steps: 4, no_ops: 1 },
            Preset::Strict,
        );
    }
}

#[test]
fn one_step_and_other_sizes_verify() {
    let choice =
        |log_params, steps| Choice { rule: Rule::Adam, s: 0, decay: false, first: false, log_params, steps, no_ops: 0 };
    check(&choice(16, 1), Preset::Standard);
    check(&choice(15, 2), Preset::Standard);
    check(&choice(13, 16), Preset::Standard);
}

/// A retry after a crash opens nothing new; and a witness that differs anywhere is masked differently everywhere.
#[test]
fn a_proof_made_again_is_the_same_proof() {
    let choice =
        Choice { rule: Rule::SgdMomentum, s: 30, decay: false, first: false, log_params: 13, steps: 8, no_ops: 0 };
    let example = Example::new(&choice, Preset::Standard, 1);
    let again = || prove(&example.statement, &example.witness(), Masking::Full, &Progress::default()).unwrap();
    let (first, second) = (again(), again());
    assert_eq!(first.commitments, second.commitments);
    assert_eq!(first.bytes, second.bytes);
    assert_eq!(first.commitments.state_in[0], commit(&example.states[0][..1 << 13], &example.salts.state_in[0]));
}
