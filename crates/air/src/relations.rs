//! The relations of a segment: a rule's, the decay's and the gradient's, with the names of their
//! columns.

use crate::constants::{Periodic, SegmentConstants, StepConstants};
use crate::rule::RuleError;
use crate::rules::Rule;
use crate::segment::Segment;
use crate::sink::{Sink, Value};
use crate::{decay, gradient};

/// Which relations a statement asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Variant {
    /// The rule.
    pub rule: Rule,
    /// The rule's shift; any number if it has none.
    pub s: u32,
    /// Whether the weights decay.
    pub decay: bool,
    /// Whether each row shows that its weight is in range (a decaying weight is shown to be in any
    /// case).
    pub weights_in_range: bool,
}

/// The relations of a segment: the rule, and what the segment fixes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Air {
    rule: Rule,
    segment: Segment,
}

impl Air {
    /// The relations for a segment with these constants.
    ///
    /// # Errors
    /// As [`Rule::constants`].
    pub fn new(variant: &Variant, steps: &[StepConstants]) -> Result<(Self, SegmentConstants), RuleError> {
        let constants = variant.rule.constants(variant.s, variant.decay, steps)?;
        let mut air = Self::generic(variant);
        (air.segment.first, air.segment.second) = (constants.first, constants.second);
        Ok((air, constants))
    }

    /// The relations with coefficients that stand for any: for descriptions and counts alone. The
    /// caller has checked s.
    #[must_use]
    pub const fn generic(variant: &Variant) -> Self {
        let Variant { rule, s, decay, weights_in_range } = *variant;
        let s = if rule.shifts().is_empty() { 0 } else { s };
        Self { rule, segment: Segment { s, decay, weights_in_range, first: 1, second: 1 } }
    }

    /// The rule.
    #[must_use]
    pub const fn rule(&self) -> Rule {
        self.rule
    }

    /// What the segment fixes.
    #[must_use]
    pub const fn segment(&self) -> &Segment {
        &self.segment
    }

    /// The names of the columns that are committed together, the states first. The gradient's two
    /// limbs follow them.
    #[must_use]
    pub fn main_columns(&self) -> Vec<&'static str> {
        let mut names = self.rule.columns(&self.segment);
        names.extend(decay::columns(&self.segment));
        names
    }

    /// The names of all columns that a row of the relations reads: those committed together, then
    /// the gradient's.
    #[must_use]
    pub fn columns(&self) -> Vec<&'static str> {
        let mut names = self.main_columns();
        names.extend(gradient::COLUMNS);
        names
    }
}

/// The relations of a row of `air`: `columns` in the order of [`Air::columns`], `periodic` the step's constants.
#[inline]
pub fn evaluate<V: Value, S: Sink<V>>(air: &Air, columns: &[V], periodic: &Periodic<V>, sink: &mut S) {
    air.rule.relations(&air.segment, columns, periodic, sink);
}
