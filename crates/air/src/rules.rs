//! The update rules, one row each: the name in records, and the type of the rule's own file that
//! says all the rest.

use crate::constants::{PERIODIC, Periodic, SegmentConstants, StepConstants};
use crate::row::{OutOfRange, State, Writer};
use crate::rule::{RuleError, Update};
use crate::segment::Segment;
use crate::sink::{Sink, Value};
use crate::{adam, lion, rmsprop, sgd};

/// Makes the enum of the rules, and `of!(rule, ITEM)`: that item of the rule's own type.
macro_rules! rules {
    ($d:tt $($(#[doc = $doc:literal])+ $(#[cfg($cfg:ident)])? $variant:ident = $name:literal, $update:ty;)+) => {
        /// The update rules.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Rule {
            $($(#[doc = $doc])+ $(#[cfg($cfg)])? $variant,)+
        }

        impl Rule {
            /// All rules.
            pub const ALL: [Self; [$($(#[cfg($cfg)])? $name),+].len()] = [$($(#[cfg($cfg)])? Self::$variant),+];

            /// The name in records and on the command line.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    $($(#[cfg($cfg)])? Self::$variant => $name,)+
                }
            }
        }

        macro_rules! of {
            ($d rule:expr, $d function:ident($d($d argument:expr),*)) => {
                match $d rule {
                    $($(#[cfg($cfg)])? Rule::$variant => <$update>::$d function($d($d argument),*),)+
                }
            };
            ($d rule:expr, $d constant:ident) => {
                match $d rule {
                    $($(#[cfg($cfg)])? Rule::$variant => <$update>::$d constant,)+
                }
            };
        }
    };
}

rules! { $
    /// Adam without decay.
    Adam = "adam", adam::Adam;
    /// Adam with decoupled decay.
    AdamW = "adamw", adam::Adam;
    /// Plain gradient descent.
    Sgd = "sgd", sgd::Plain;
    /// Gradient descent with momentum.
    SgdMomentum = "sgd-momentum", sgd::Momentum;
    /// Gradient descent with Nesterov's momentum.
    SgdNesterov = "sgd-nesterov", sgd::Nesterov;
    /// Lion.
    Lion = "lion", lion::Lion;
    /// RMSprop.
    Rmsprop = "rmsprop", rmsprop::Rmsprop;
    /// Descent by the gradient itself, for this crate's tests.
    #[cfg(test)] Toy = "toy", crate::toy::Toy;
}

impl Rule {
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

    /// The names of the state's parts; the weights come first.
    #[must_use]
    pub const fn states(self) -> &'static [&'static str] {
        of!(self, STATES)
    }

    /// The shifts s that the rule may have; none if it has no shift.
    #[must_use]
    pub const fn shifts(self) -> &'static [u32] {
        of!(self, SHIFTS)
    }

    /// Checks the shift of a rule that has one.
    ///
    /// # Errors
    /// If it is none of the rule's.
    pub fn check_shift(self, s: u32) -> Result<(), RuleError> {
        let shifts = self.shifts();
        if shifts.is_empty() || shifts.contains(&s) {
            return Ok(());
        }
        let list: Vec<String> = shifts.iter().map(u32::to_string).collect();
        Err(RuleError::new(format!("s is {s}, and it is {}", list.join(" or "))))
    }

    /// The constants of a step from the five numbers that records hold: the fields of
    /// `core.constants` in their order, then zeros.
    ///
    /// # Errors
    /// If a number contradicts the statement's s.
    pub fn step(self, numbers: [i64; 5], s: u32) -> Result<StepConstants, RuleError> {
        of!(self, step(numbers, s))
    }

    /// Splits the constants of a segment's steps.
    ///
    /// # Errors
    /// If a constant lies outside its range, the steps' coefficients differ, or a no-op stands
    /// before a real step.
    pub fn constants(self, s: u32, decay: bool, steps: &[StepConstants]) -> Result<SegmentConstants, RuleError> {
        self.check_shift(s)?;
        of!(self, split(steps, decay))
    }

    /// The names of the rule's columns.
    pub(crate) fn columns(self, segment: &Segment) -> Vec<&'static str> {
        of!(self, columns(segment))
    }

    /// The relations of one row.
    #[inline]
    pub(crate) fn relations<V: Value, S: Sink<V>>(
        self,
        segment: &Segment,
        columns: &[V],
        periodic: &Periodic<V>,
        sink: &mut S,
    ) {
        of!(self, relations(segment, columns, periodic, sink));
    }

    /// Writes a row's columns without the gradient's.
    pub(crate) fn fill(
        self,
        segment: &Segment,
        periodic: &[i64; PERIODIC],
        state: State,
        gradient: i64,
        row: &mut Writer<'_>,
    ) -> Result<State, OutOfRange> {
        of!(self, fill(segment, periodic, state, gradient, row))
    }
}
