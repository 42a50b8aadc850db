//! Which relations a segment has: the rule, and what of it a statement asks for.

use core::fmt;

use crate::constants::{SegmentConstants, StepConstants};
use crate::{adam, decay, sgd};

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

/// The update rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Rule {
    /// Adam without decay.
    Adam,
    /// Adam with decoupled decay.
    AdamW,
    /// Plain gradient descent.
    Sgd,
    /// Gradient descent with momentum.
    SgdMomentum,
    /// Gradient descent with Nesterov's momentum.
    SgdNesterov,
}

impl Rule {
    /// All rules.
    pub const ALL: [Self; 5] = [Self::Adam, Self::AdamW, Self::Sgd, Self::SgdMomentum, Self::SgdNesterov];

    /// The name in records and on the command line.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Adam => "adam",
            Self::AdamW => "adamw",
            Self::Sgd => "sgd",
            Self::SgdMomentum => "sgd-momentum",
            Self::SgdNesterov => "sgd-nesterov",
        }
    }

    /// The rule of a name.
    ///
    /// # Errors
    /// If there is no rule of that name.
    pub fn parse(name: &str) -> Result<Self, RuleError> {
        Self::ALL
            .into_iter()
            .find(|rule| rule.name() == name)
            .ok_or_else(|| RuleError::new(format!("there is no rule {name:?}")))
    }

    /// Checks SGD's shift; Adam has none.
    ///
    /// # Errors
    /// If it is neither 15 nor 30.
    pub fn check_shift(self, s: u32) -> Result<(), RuleError> {
        if self.is_adam() || s == 15 || s == 30 {
            Ok(())
        } else {
            Err(RuleError::new(format!("s is {s}, and it is 15 or 30")))
        }
    }

    /// Whether the rule is Adam or AdamW.
    #[must_use]
    pub const fn is_adam(self) -> bool {
        matches!(self, Self::Adam | Self::AdamW)
    }

    /// The names of the state's parts; the weights come first.
    #[must_use]
    pub const fn states(self) -> &'static [&'static str] {
        match self {
            Self::Adam | Self::AdamW => &["W", "M", "V"],
            Self::Sgd => &["W"],
            Self::SgdMomentum | Self::SgdNesterov => &["W", "B"],
        }
    }
}

/// The relations of a segment: rule and shift, which optional relations are in, and the coefficients that all steps share.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Air {
    rule: Rule,
    s: u32,
    decay: bool,
    weights_in_range: bool,
    first: i64,
    second: i64,
}

impl Air {
    /// The relations for a segment with these constants: with `decay` the weights decay, with `weights_in_range` each row
    /// shows that its weight is in range (a decaying weight is shown to be in any case).
    ///
    /// # Errors
    /// As [`SegmentConstants::new`].
    pub fn new(
        rule: Rule,
        s: u32,
        decay: bool,
        weights_in_range: bool,
        steps: &[StepConstants],
    ) -> Result<(Self, SegmentConstants), RuleError> {
        let constants = SegmentConstants::new(rule, s, decay, steps)?;
        let (first, second) = (constants.first, constants.second);
        let air = Self { rule, s: if rule.is_adam() { 0 } else { s }, decay, weights_in_range, first, second };
        Ok((air, constants))
    }

    /// The relations with coefficients that stand for any: for descriptions and counts alone. The caller has checked s.
    #[must_use]
    pub fn generic(rule: Rule, s: u32, decay: bool, weights_in_range: bool) -> Self {
        Self { rule, s: if rule.is_adam() { 0 } else { s }, decay, weights_in_range, first: 1, second: 1 }
    }

    /// The rule.
    #[must_use]
    pub const fn rule(&self) -> Rule {
        self.rule
    }

    /// SGD's shift, 15 or 30; 0 for Adam.
    #[must_use]
    pub const fn s(&self) -> u32 {
        self.s
    }

    /// Whether the weights decay.
    #[must_use]
    pub const fn decay(&self) -> bool {
        self.decay
    }

    /// Whether the weight is shown to be in range without anything being known of it.
    #[must_use]
    pub const fn weights_in_range(&self) -> bool {
        self.weights_in_range
    }

    /// Whether the weight's limbs are shown: they are where it decays.
    #[must_use]
    pub const fn weight_limbs(&self) -> bool {
        self.decay || self.weights_in_range
    }

    /// Adam's c1, or SGD's mu.
    #[must_use]
    pub const fn first(&self) -> i64 {
        self.first
    }

    /// Adam's c2, or 0.
    #[must_use]
    pub const fn second(&self) -> i64 {
        self.second
    }

    /// The names of the columns that are committed together, the states first. The gradient's two limbs follow them.
    #[must_use]
    pub fn main_columns(&self) -> Vec<&'static str> {
        let mut names = if self.rule.is_adam() { adam::COLUMNS.to_vec() } else { sgd::columns(self) };
        if self.weight_limbs() {
            names.extend(decay::LIMBS);
        }
        if self.decay {
            names.extend(decay::COLUMNS);
        }
        names
    }

    /// The names of all columns that a row of the relations reads: those committed together, then the gradient's.
    #[must_use]
    pub fn columns(&self) -> Vec<&'static str> {
        let mut names = self.main_columns();
        names.extend(GRADIENT);
        names
    }
}

/// The columns of the gradient, committed apart: `G = g0 + 2^15 g1 - 2^30`.
pub const GRADIENT: [&str; 2] = ["g0", "g1"];
