//! Witnesses for the tests: random states and gradients, taken through the rule.

#![allow(
    dead_code,
    missing_docs,
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    clippy::must_use_candidate,
    clippy::missing_panics_doc,
    clippy::cast_sign_loss
)]

use zk_autograd_air::constants::StepConstants;
use zk_autograd_air::trace::fill_row;
use zk_autograd_air::{Rule, Val};
use zk_autograd_prover::{Salts, Witness};
use zk_autograd_verifier::{Preset, Statement};

/// splitmix64 (Steele, Lea, Flood, 2014).
pub struct Random(pub u64);

impl Random {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// An integer of up to `bits` bits and a sign, small ones as likely as large ones.
    pub fn signed(&mut self, bits: u32) -> i64 {
        let width = self.next() % u64::from(bits) + 1;
        let value = (self.next() >> (64 - width)) as i64;
        if self.next() & 1 == 0 { value } else { -value }
    }

    pub fn secret(&mut self) -> [u8; 32] {
        core::array::from_fn(|_| self.next() as u8)
    }
}

pub fn constants(rule: Rule, s: u32, decay: bool, step: usize) -> StepConstants {
    let decay = if decay { 10_737 } else { 0 };
    if rule.is_adam() {
        let lr = 4_294_967 * (1 + step as i64 % 3);
        StepConstants { c1: 3277, c2: 33, lr, eps: 33 + step as i64, decay, ..StepConstants::default() }
    } else {
        let mu = if rule == Rule::Sgd { 0 } else { 29_491 };
        StepConstants {
            mu,
            cg: 1 << 15,
            lr: if s == 15 { 5_243 } else { 171_798_692 },
            decay,
            ..StepConstants::default()
        }
    }
}

pub fn no_op(rule: Rule) -> StepConstants {
    if rule.is_adam() {
        StepConstants { eps: 1, ..StepConstants::default() }
    } else {
        StepConstants { mu: 1 << 15, ..StepConstants::default() }
    }
}

pub struct Example {
    pub statement: Statement,
    pub states: Vec<Vec<i64>>,
    pub gradients: Vec<i64>,
    pub salts: Salts,
}

pub struct Choice {
    pub rule: Rule,
    pub s: u32,
    pub decay: bool,
    pub first: bool,
    pub log_params: usize,
    pub steps: usize,
    pub no_ops: usize,
}

impl Example {
    pub fn new(choice: &Choice, preset: Preset, seed: u64) -> Self {
        let mut steps: Vec<StepConstants> = (0..choice.steps - choice.no_ops)
            .map(|step| constants(choice.rule, choice.s, choice.decay, step))
            .collect();
        steps.resize(choice.steps, no_op(choice.rule));
        let statement = Statement::new(
            choice.rule,
            choice.s,
            choice.decay,
            choice.first,
            preset,
            choice.log_params,
            &steps,
            core::array::from_fn(|i| i as u8),
        )
        .unwrap();
        let params = 1_usize << choice.log_params;
        let mut random = Random(seed);
        let names = choice.rule.states();
        let mut states = vec![vec![0_i64; params * (choice.steps + 1)]; names.len()];
        let mut gradients = vec![0_i64; params * choice.steps];
        let columns = statement.shape.main - 1 + statement.shape.gradient;
        let mut row = vec![Val::default(); columns];
        for element in 0..params {
            let mut state = [random.signed(44), 0, 0];
            if !choice.first && names.len() > 1 {
                // A second moment that goes with the first: else the update leaves its range, as it should.
                let size = random.signed(28);
                state[1] = if choice.rule.is_adam() { size << 15 } else { size };
                state[2] = if choice.rule.is_adam() { size * size } else { 0 };
            }
            for (values, value) in states.iter_mut().zip(state) {
                values[element] = value;
            }
            for step in 0..choice.steps {
                let active = step < choice.steps - choice.no_ops;
                let bits = if choice.rule.is_adam() { 30 } else { 22 };
                let gradient = if active { random.signed(bits) } else { 0 };
                gradients[step * params + element] = gradient;
                state =
                    fill_row(&statement.air, &statement.constants.periodic[step], state, gradient, &mut row).unwrap();
                for (values, value) in states.iter_mut().zip(state) {
                    values[(step + 1) * params + element] = value;
                }
            }
        }
        let secrets = |random: &mut Random| names.iter().map(|_| random.secret()).collect::<Vec<_>>();
        let salts =
            Salts { state_in: secrets(&mut random), state_out: secrets(&mut random), gradient: random.secret() };
        Self { statement, states, gradients, salts }
    }

    pub fn witness(&self) -> Witness<'_> {
        Witness {
            states: self.states.iter().map(Vec::as_slice).collect(),
            gradients: &self.gradients,
            salts: self.salts.clone(),
        }
    }
}
