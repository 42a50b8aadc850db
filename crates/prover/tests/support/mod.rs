//! Witnesses for the tests: random states and gradients, taken through the rule; and the parts of a proof.

#![allow(
    dead_code,
    missing_docs,
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    clippy::must_use_candidate,
    clippy::missing_panics_doc,
    clippy::cast_sign_loss
)]

pub mod anatomy;

use zk_autograd_air::constants::StepConstants;
use zk_autograd_air::trace::{State, fill_row};
use zk_autograd_air::{Rule, Val, Variant};
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

/// Whether a rule is one of SGD's.
pub const fn is_sgd(rule: Rule) -> bool {
    matches!(rule, Rule::Sgd | Rule::SgdMomentum | Rule::SgdNesterov)
}

pub fn constants(rule: Rule, s: u32, decay: bool, step: usize) -> StepConstants {
    let decay = if decay { 10_737 } else { 0 };
    if is_sgd(rule) {
        let mu = if rule == Rule::Sgd { 0 } else { 29_491 };
        StepConstants {
            mu,
            cg: 1 << 15,
            lr: if s == 15 { 5_243 } else { 171_798_692 },
            decay,
            ..StepConstants::default()
        }
    } else {
        let lr = 4_294_967 * (1 + step as i64 % 3);
        let c1 = if rule == Rule::Rmsprop { 0 } else { 3277 };
        let eps = if rule == Rule::Lion { 0 } else { 33 + step as i64 };
        StepConstants { c1, c2: 33, lr, eps, decay, ..StepConstants::default() }
    }
}

pub fn no_op(rule: Rule) -> StepConstants {
    if is_sgd(rule) {
        StepConstants { mu: 1 << 15, ..StepConstants::default() }
    } else {
        StepConstants { eps: i64::from(rule != Rule::Lion), ..StepConstants::default() }
    }
}

pub struct Example {
    pub statement: Statement,
    /// Before the first step, ..., after the last.
    pub states: Vec<Vec<i64>>,
    pub gradients: Vec<i32>,
    pub salts: Salts,
}

#[derive(Clone, Copy)]
pub struct Choice {
    pub rule: Rule,
    pub s: u32,
    pub decay: bool,
    pub first: bool,
    pub log_params: usize,
    pub steps: usize,
    pub no_ops: usize,
}

impl Choice {
    /// The constants of all steps, no-ops last.
    pub fn steps(&self) -> Vec<StepConstants> {
        let mut steps: Vec<StepConstants> =
            (0..self.steps - self.no_ops).map(|step| constants(self.rule, self.s, self.decay, step)).collect();
        steps.resize(self.steps, no_op(self.rule));
        steps
    }

    pub fn statement(&self, preset: Preset) -> Statement {
        self.statement_with(preset, &self.steps())
    }

    pub fn statement_with(&self, preset: Preset, steps: &[StepConstants]) -> Statement {
        let context = core::array::from_fn(|i| i as u8);
        Statement::new(
            &Variant { rule: self.rule, s: self.s, decay: self.decay, weights_in_range: self.first },
            preset,
            self.log_params,
            steps,
            context,
        )
        .unwrap()
    }
}

impl Example {
    /// Random states and gradients.
    pub fn new(choice: &Choice, preset: Preset, seed: u64) -> Self {
        let mut random = Random(seed);
        let mut starts = Random(seed ^ 0x5eed);
        Self::with(
            choice.statement(preset),
            seed,
            |_| {
                let mut state = [starts.signed(44), 0, 0];
                if !choice.first {
                    // A second moment that goes with the first: else the update leaves its range, as it should.
                    let size = starts.signed(28);
                    (state[1], state[2]) = match choice.rule {
                        Rule::Adam | Rule::AdamW => (size << 15, size * size),
                        Rule::Lion => (size << 15, 0),
                        Rule::Rmsprop => (size * size, 0),
                        Rule::Sgd | Rule::SgdMomentum | Rule::SgdNesterov => (size, 0),
                    };
                }
                state
            },
            |_, _| random.signed(if is_sgd(choice.rule) { 22 } else { 30 }),
        )
    }

    /// The states that follow by the rule from those before the first step. A real step's gradient is asked for by element and step.
    pub fn with(
        statement: Statement,
        seed: u64,
        mut start: impl FnMut(usize) -> State,
        mut gradient: impl FnMut(usize, usize) -> i64,
    ) -> Self {
        let params = 1_usize << statement.shape.lengths.log_params;
        let steps = 1_usize << statement.shape.lengths.log_steps;
        let mut random = Random(seed ^ 0x5a17);
        let names = statement.air.rule().states();
        let mut states = vec![vec![0_i64; params * (steps + 1)]; names.len()];
        let mut gradients = vec![0_i32; params * steps];
        let mut row = vec![Val::default(); statement.air.columns().len()];
        for element in 0..params {
            let mut state = start(element);
            for (values, value) in states.iter_mut().zip(state) {
                values[element] = value;
            }
            for step in 0..steps {
                let active = statement.constants.periodic[step][0] == 1;
                let gradient = if active { gradient(element, step) } else { 0 };
                gradients[step * params + element] = gradient.try_into().unwrap();
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
        let params = 1 << self.statement.shape.lengths.log_params;
        Witness {
            start: self.states.iter().map(|values| &values[..params]).collect(),
            end: self.states.iter().map(|values| &values[values.len() - params..]).collect(),
            gradients: &self.gradients,
            salts: self.salts.clone(),
        }
    }
}
