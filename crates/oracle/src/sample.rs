//! Segments and honest traces at random.

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use zk_autograd_air::constants::StepConstants;
use zk_autograd_air::field::from_signed;
use zk_autograd_air::trace::{State, fill_row};
use zk_autograd_air::{Air, Rule, RuleError, Val, Variant};

use crate::relations::Ends;
use crate::segment::{Segment, has_root, has_shift};
use crate::verdict::Trace;

/// A source of numbers that are as often small as large.
pub struct Random(pub StdRng);

impl Random {
    /// The source of a seed.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self(StdRng::seed_from_u64(seed))
    }

    /// An integer of at most `bits` bits.
    pub fn unsigned(&mut self, bits: u32) -> i64 {
        let width = self.0.random_range(0..=bits);
        if width == 0 { 0 } else { (self.0.random::<u64>() >> (64 - width)).cast_signed() }
    }

    /// The same with a sign.
    pub fn signed(&mut self, bits: u32) -> i64 {
        let value = self.unsigned(bits);
        if self.0.random() { value } else { -value }
    }

    /// An index below `count`.
    pub fn below(&mut self, count: usize) -> usize {
        self.0.random_range(0..count)
    }

    /// True once in `count` times.
    pub fn once_in(&mut self, count: usize) -> bool {
        self.below(count) == 0
    }
}

/// A segment with constants from their whole range.
pub fn segment(
    random: &mut Random,
    rule: Rule,
    s: u32,
    decay: bool,
    weights_in_range: bool,
    steps: usize,
    no_ops: usize,
) -> Segment {
    let (shift, root, first) = (has_shift(rule), has_root(rule), has_first(rule));
    let c1 = 1 + random.unsigned(15).min((1 << 15) - 1);
    let c2 = 1 + random.unsigned(15).min((1 << 15) - 1);
    let mu = if rule == Rule::Sgd { 0 } else { random.unsigned(15) };
    let step = |random: &mut Random| StepConstants {
        c1: if first { c1 } else { 0 },
        c2: if shift { 0 } else { c2 },
        mu: if shift { mu } else { 0 },
        cg: if shift { 1 << 15 } else { 0 },
        lr: random.unsigned(if shift { 31 } else { 30 }),
        eps: if root { 1 + random.unsigned(28) } else { 0 },
        decay: if decay { random.unsigned(28) } else { 0 },
    };
    let no_op = no_op(rule);
    let steps = (0..steps).map(|index| if index + no_ops < steps { step(random) } else { no_op }).collect();
    Segment { rule, s: if shift { s } else { 0 }, decay, weights_in_range, steps }
}

/// Whether a rule has a first moment, and the coefficient c1.
const fn has_first(rule: Rule) -> bool {
    matches!(rule, Rule::Adam | Rule::AdamW | Rule::Lion)
}

/// The constants of a step that changes nothing.
#[must_use]
pub fn no_op(rule: Rule) -> StepConstants {
    let mu = if has_shift(rule) { 1 << 15 } else { 0 };
    StepConstants { mu, eps: i64::from(has_root(rule)), ..StepConstants::default() }
}

/// A state in the range that the rules document gives; now and then at its ends.
fn state(random: &mut Random, rule: Rule) -> State {
    let weight = if random.once_in(8) { [-(1 << 45) + 1, (1 << 45) - 1][random.below(2)] } else { random.signed(45) };
    match rule {
        Rule::Adam | Rule::AdamW => {
            let size = if random.once_in(8) { 1 << 30 } else { random.unsigned(30) };
            [weight, random.signed(30).clamp(-size, size) << 15, size * size]
        }
        Rule::Lion => {
            let rest = random.unsigned(15).min((1 << 15) - 1);
            let moment = random.signed(30).clamp(-(1 << 30), (1 << 30) - 1);
            [weight, if random.once_in(8) { 0 } else { (moment << 15) + rest }, 0]
        }
        Rule::Rmsprop => {
            let size = if random.once_in(8) { 1 << 30 } else { random.unsigned(30) };
            [weight, size * size, 0]
        }
        Rule::Sgd => [weight, 0, 0],
        Rule::SgdMomentum | Rule::SgdNesterov => [weight, random.signed(30), 0],
    }
}

/// An honest trace of `parameters` parameters. Where a step would leave its range, another state and other gradients are drawn.
///
/// # Errors
/// If the segment's constants lie outside their range.
pub fn trace(random: &mut Random, segment: &Segment, parameters: usize) -> Result<Trace, RuleError> {
    let (air, constants) = Air::new(
        &Variant { rule: segment.rule, s: segment.s, decay: segment.decay, weights_in_range: segment.weights_in_range },
        &segment.steps,
    )?;
    let states = air.rule().states().len();
    let mut trace = Trace { rows: Vec::new(), ends: Ends { before: Vec::new(), after: Vec::new() } };
    while trace.ends.before.len() < parameters {
        let before = state(random, segment.rule);
        let mut now = before;
        let mut rows = Vec::new();
        for periodic in &constants.periodic {
            let edge = random.once_in(8);
            let gradient = match periodic[0] {
                0 => 0,
                _ if edge => [-(1 << 30) + 1, (1 << 30) - 1, 0][random.below(3)],
                _ => random.signed(30),
            };
            let mut row = vec![Val::default(); air.columns().len()];
            match fill_row(&air, periodic, now, gradient, &mut row) {
                Ok(after) => now = after,
                Err(_) => break,
            }
            rows.push(row);
        }
        if rows.len() == segment.steps.len() {
            trace.rows.extend(rows);
            trace.ends.before.push(before[..states].iter().map(|part| from_signed(*part)).collect());
            trace.ends.after.push(now[..states].iter().map(|part| from_signed(*part)).collect());
        }
    }
    Ok(trace)
}

/// A training's segment: constants as in practice.
#[must_use]
pub fn training(rule: Rule, s: u32, steps: usize) -> Segment {
    let (shift, root, first) = (has_shift(rule), has_root(rule), has_first(rule));
    let mu = if !shift || rule == Rule::Sgd { 0 } else { 29_491 };
    let constants = (0..).take(steps).map(|step: i64| StepConstants {
        c1: if first { 3277 } else { 0 },
        c2: if shift { 0 } else { 33 },
        mu,
        cg: if shift { 1 << 15 } else { 0 },
        lr: if !shift {
            4_294_967 * (1 + step % 3)
        } else if s == 15 {
            5_243
        } else {
            171_798_692
        },
        eps: if root { 33 + step } else { 0 },
        decay: 0,
    });
    Segment { rule, s: if shift { s } else { 0 }, decay: false, weights_in_range: false, steps: constants.collect() }
}

/// One step of one parameter.
pub struct Visit<'a> {
    /// The parameter.
    pub parameter: usize,
    /// The step.
    pub step: usize,
    /// The state before.
    pub before: State,
    /// The gradient.
    pub gradient: i64,
    /// The state after.
    pub after: State,
    /// The columns.
    pub row: &'a [Val],
}

/// Takes `parameters` parameters with moments and gradients of all sizes through a segment of [`training`].
///
/// # Panics
/// Never for such a segment: its constants are in range, and so is every step.
pub fn walk(random: &mut Random, segment: &Segment, parameters: usize, mut visit: impl FnMut(&Visit<'_>)) {
    let rule = segment.rule;
    let (air, constants) = Air::new(
        &Variant { rule, s: segment.s, decay: segment.decay, weights_in_range: segment.weights_in_range },
        &segment.steps,
    )
    .expect("constants in range");
    let mut row = vec![Val::default(); air.columns().len()];
    for parameter in 0..parameters {
        let size = random.signed(28);
        let weight = random.signed(44);
        let mut now = match rule {
            Rule::Adam | Rule::AdamW => [weight, size << 15, size * size],
            Rule::Sgd => [weight, 0, 0],
            Rule::SgdMomentum | Rule::SgdNesterov => [weight, size, 0],
            Rule::Lion => [weight, size << 15, 0],
            Rule::Rmsprop => [weight, size * size, 0],
        };
        for (step, periodic) in constants.periodic.iter().enumerate() {
            let gradient = random.signed(if has_shift(rule) { 22 } else { 30 });
            let after = fill_row(&air, periodic, now, gradient, &mut row).expect("a step in range");
            visit(&Visit { parameter, step, before: now, gradient, after, row: &row });
            now = after;
        }
    }
}
