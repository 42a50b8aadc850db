//! Statements for the fuzz targets, and how an input names one.

use zk_autograd_air::{Rule, StepConstants, Variant};
use zk_autograd_verifier::sealed::{SEALED_BYTES, Sealed};
use zk_autograd_verifier::{Commitments, Preset, Statement, verify};

/// The statements: a rule with s, decay, first segment, preset, `log_params` and steps each.
const CHOICES: [(Rule, u32, bool, bool, Preset, usize, usize); STATEMENTS as usize] = [
    (Rule::Sgd, 30, false, false, Preset::Standard, 13, 8),
    (Rule::SgdNesterov, 15, true, true, Preset::Strict, 15, 2),
    (Rule::Adam, 0, false, false, Preset::Standard, 16, 1),
    (Rule::AdamW, 0, true, true, Preset::Standard, 13, 8),
];

/// How many statements there are.
pub const STATEMENTS: u8 = 4;

/// The statement of a number, taken modulo their count.
///
/// # Panics
/// Never: the choices are admissible.
#[must_use]
pub fn statement(number: u8) -> Statement {
    let (rule, s, decay, first, preset, log_params, steps) = CHOICES[usize::from(number % STATEMENTS)];
    let decay_integer = if decay { 10_737 } else { 0 };
    let step = if matches!(rule, Rule::Adam | Rule::AdamW) {
        StepConstants { c1: 3277, c2: 33, lr: 4_294_967, eps: 33, decay: decay_integer, ..StepConstants::default() }
    } else {
        let mu = if rule == Rule::Sgd { 0 } else { 29_491 };
        StepConstants { mu, cg: 1 << 15, lr: 5_243, decay: decay_integer, ..StepConstants::default() }
    };
    Statement::new(&Variant { rule, s, decay, weights_in_range: first }, preset, log_params, &vec![step; steps], [number; 32]).expect("admissible")
}

/// The bytes that name a statement's proof.
#[must_use]
pub fn input(number: u8, commitments: &Commitments, proof: &[u8]) -> Vec<u8> {
    let all = commitments.state_in.iter().chain(&commitments.state_out).chain([&commitments.gradient]);
    let mut bytes = vec![number];
    all.for_each(|sealed| bytes.extend(sealed.to_bytes()));
    bytes.extend(proof);
    bytes
}

/// Verifies what such bytes name; whether it is a proof.
#[must_use]
pub fn judge(bytes: &[u8]) -> bool {
    let Some((number, mut rest)) = bytes.split_first() else { return false };
    let statement = statement(*number);
    let mut sealed = Vec::new();
    for _ in 0..=2 * statement.shape.states {
        let Some((own, more)) = rest.split_at_checked(SEALED_BYTES) else { return false };
        let Ok(own) = Sealed::from_bytes(own) else { return false };
        sealed.push(own);
        rest = more;
    }
    let Some(gradient) = sealed.pop() else { return false };
    let state_out = sealed.split_off(statement.shape.states);
    verify(&statement, &Commitments { state_in: sealed, state_out, gradient }, rest).is_ok()
}
