//! What a rule is: all that its own file says of it. [`crate::rules`] lists them, one row each.

use core::fmt;
use core::ops::RangeInclusive;

use crate::constants::{PERIODIC, Periodic, SegmentConstants, StepConstants};
use crate::row::{OutOfRange, State, Writer};
use crate::segment::Segment;
use crate::sink::{Sink, Value};

/// A wrong constant, or a rule that doesn't exist: one sentence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleError(String);

impl RuleError {
    /// An error with this message.
    #[must_use]
    pub fn new(message: String) -> Self {
        Self(message)
    }
}

impl fmt::Display for RuleError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl core::error::Error for RuleError {}

/// A constant of a step: its name, its value, and what it may be.
pub type Bounded = (&'static str, i64, RangeInclusive<i64>);

/// An update rule: its constants, its columns, its relations, and how an honest prover fills a row.
///
/// The gradient's columns come after those of the rule, and are not the rule's own.
pub trait Update {
    /// The names of the state's parts; the weights come first.
    const STATES: &'static [&'static str];

    /// The shifts s that the rule may have; none if it has no shift.
    const SHIFTS: &'static [u32];

    /// The constants of a step from the five numbers that records hold, with the statement's s.
    ///
    /// # Errors
    /// If a number contradicts the statement.
    fn step(numbers: [i64; 5], s: u32) -> Result<StepConstants, RuleError>;

    /// Whether a step changes nothing.
    ///
    /// # Errors
    /// If its constants say both.
    fn is_no_op(step: &StepConstants) -> Result<bool, RuleError>;

    /// The ranges of a step's constants; the decay's is the same for all rules.
    fn ranges(step: &StepConstants, no_op: bool) -> Vec<Bounded>;

    /// The coefficients that all steps of a segment share: they stand in the relations as integers.
    fn coefficients(step: &StepConstants) -> (i64, i64);

    /// The constants that change from step to step: 1, or 0 in a no-op step; LR; E, or 0; D.
    fn periodic(step: &StepConstants, no_op: bool) -> [i64; PERIODIC];

    /// Splits the constants of a segment's steps.
    ///
    /// # Errors
    /// If a constant lies outside its range, the steps' coefficients differ, or a no-op stands
    /// before a real step.
    fn split(steps: &[StepConstants], decay: bool) -> Result<SegmentConstants, RuleError> {
        let mut shared: Option<(i64, i64)> = None;
        let mut periodic = Vec::with_capacity(steps.len());
        let mut ended = false;
        for (index, step) in steps.iter().enumerate() {
            let no_op = Self::is_no_op(step)?;
            let decay = ("D", step.decay, 0..=if decay && !no_op { (1 << 28) - 1 } else { 0 });
            for (name, value, range) in Self::ranges(step, no_op).into_iter().chain([decay]) {
                if !range.contains(&value) {
                    let (low, high) = range.into_inner();
                    return Err(RuleError::new(format!(
                        "{name} of step {index} is {value}, and it lies in {low} ..= {high}"
                    )));
                }
            }
            if no_op {
                ended = true;
            } else {
                if ended {
                    return Err(RuleError::new(format!("step {index} of the segment follows a no-op step")));
                }
                let own = Self::coefficients(step);
                if *shared.get_or_insert(own) != own {
                    return Err(RuleError::new(format!(
                        "step {index} of the segment has other coefficients than the first"
                    )));
                }
            }
            periodic.push(Self::periodic(step, no_op));
        }
        let Some((first, second)) = shared else {
            return Err(RuleError::new("a segment has at least one step that is no no-op".into()));
        };
        Ok(SegmentConstants { first, second, periodic })
    }

    /// The names of the columns, the states first.
    fn columns(segment: &Segment) -> Vec<&'static str>;

    /// The relations of one row, `columns` with the gradient's at the end.
    fn relations<V: Value, S: Sink<V>>(segment: &Segment, columns: &[V], periodic: &Periodic<V>, sink: &mut S);

    /// Writes a row's columns without the gradient's, and gives the state after it.
    ///
    /// # Errors
    /// If a quantity of the step has no columns that stand for it.
    fn fill(
        segment: &Segment,
        periodic: &[i64; PERIODIC],
        state: State,
        gradient: i64,
        row: &mut Writer<'_>,
    ) -> Result<State, OutOfRange>;
}
