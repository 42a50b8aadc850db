//! The public constants of a segment's steps, and what of them is the same for all of its rows.

use crate::rule::{Rule, RuleError};

/// The constants of one step, as the rules document names them. A rule reads those that it has; the others are 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StepConstants {
    /// Adam: `round((1 - beta1) * 2^15)`; 0 in a no-op step.
    pub c1: i64,
    /// Adam: `round((1 - beta2) * 2^15)`; 0 in a no-op step.
    pub c2: i64,
    /// SGD: `round(momentum * 2^15)`; 2^15 in a no-op step.
    pub mu: i64,
    /// SGD: the gradient's coefficient, 2^15, or 0 in a no-op step.
    pub cg: i64,
    /// The learning rate's integer.
    pub lr: i64,
    /// Adam: the integer of eps.
    pub eps: i64,
    /// The decay's integer.
    pub decay: i64,
}

/// What a row knows of its step: `active` is 0 in a no-op step and 1 in any other.
#[derive(Clone, Copy, Debug)]
pub struct Periodic<V> {
    /// 1, or 0 in a no-op step.
    pub active: V,
    /// The learning rate's integer.
    pub lr: V,
    /// Adam: the integer of eps.
    pub eps: V,
    /// The decay's integer.
    pub decay: V,
}

/// How many periodic columns there are.
pub const PERIODIC: usize = 4;

impl<V: Clone> Periodic<V> {
    /// From an array in the order of the fields.
    #[must_use]
    pub fn from_array([active, lr, eps, decay]: [V; PERIODIC]) -> Self {
        Self { active, lr, eps, decay }
    }
}

/// The constants of a segment: coefficients that all its steps share, and the periodic rest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SegmentConstants {
    /// Adam's c1, or SGD's mu.
    pub first: i64,
    /// Adam's c2, or 0.
    pub second: i64,
    /// For each step active, LR, E, D.
    pub periodic: Vec<[i64; PERIODIC]>,
}

impl SegmentConstants {
    /// Splits the constants of a segment's steps.
    ///
    /// # Errors
    /// If a constant lies outside its range, the steps' coefficients differ, or a no-op stands before a real step.
    pub fn new(rule: Rule, s: u32, decay: bool, steps: &[StepConstants]) -> Result<Self, RuleError> {
        rule.check_shift(s)?;
        let mut shared: Option<(i64, i64)> = None;
        let mut periodic = Vec::with_capacity(steps.len());
        let mut ended = false;
        for (index, step) in steps.iter().enumerate() {
            let no_op = is_no_op(rule, step)?;
            check(rule, decay, step, no_op, index)?;
            if no_op {
                ended = true;
            } else {
                if ended {
                    return Err(RuleError::new(format!("step {index} of the segment follows a no-op step")));
                }
                let own = if rule.is_adam() { (step.c1, step.c2) } else { (step.mu, 0) };
                if *shared.get_or_insert(own) != own {
                    return Err(RuleError::new(format!(
                        "step {index} of the segment has other coefficients than the first"
                    )));
                }
            }
            periodic.push([i64::from(!no_op), step.lr, if rule.is_adam() { step.eps } else { 0 }, step.decay]);
        }
        let Some((first, second)) = shared else {
            return Err(RuleError::new("a segment has at least one step that is no no-op".into()));
        };
        Ok(Self { first, second, periodic })
    }
}

fn is_no_op(rule: Rule, step: &StepConstants) -> Result<bool, RuleError> {
    if rule.is_adam() {
        let zeros = (step.c1 == 0, step.c2 == 0);
        if zeros.0 != zeros.1 {
            return Err(RuleError::new("c1 and c2 are 0 in a no-op step, both or none".into()));
        }
        Ok(zeros.0)
    } else {
        Ok(step.cg == 0)
    }
}

fn check(rule: Rule, decay: bool, step: &StepConstants, no_op: bool, index: usize) -> Result<(), RuleError> {
    let within = |name: &str, value: i64, low: i64, high: i64| {
        if (low..=high).contains(&value) {
            Ok(())
        } else {
            Err(RuleError::new(format!("{name} of step {index} is {value}, and it lies in {low} ..= {high}")))
        }
    };
    if rule.is_adam() {
        within("c1", step.c1, 0, 1 << 15)?;
        within("c2", step.c2, 0, 1 << 15)?;
        within("LR", step.lr, 0, if no_op { 0 } else { (1 << 30) - 1 })?;
        within("E", step.eps, 1, if no_op { 1 } else { (1 << 29) - 1 })?;
    } else {
        if no_op {
            within("mu", step.mu, 1 << 15, 1 << 15)?;
        } else {
            within("mu", step.mu, 0, if rule == Rule::Sgd { 0 } else { (1 << 15) - 1 })?;
            within("cg", step.cg, 1 << 15, 1 << 15)?;
        }
        within("LR", step.lr, 0, if no_op { 0 } else { (1 << 31) - 1 })?;
    }
    within("D", step.decay, 0, if decay && !no_op { (1 << 28) - 1 } else { 0 })
}
