//! The update rules, element by element: a file and a row each. Their definitions are those of Python's `core.rules`.

use crate::arch::Arch;
use crate::block::{Outcome, Part, Ruled};
use crate::plane::Width;

mod adam;
mod sgd;

/// A rule with the constants of a step. N integers make the state of an element, W first.
pub trait Update<const N: usize>: Send + Sync + 'static {
    /// How they are kept: wide enough for every state that a step may begin or end with.
    const WIDTHS: [Width; N];

    /// The next state of an element, and whether something left its range: the state then means nothing.
    ///
    /// The same instructions whatever the values are. `state` is in its ranges, and so is `g`, or the step is refused anyway: then
    /// it is any 32-bit number.
    fn element(&self, state: [i64; N], g: i64) -> ([i64; N], bool);
}

/// A rule with its constants, whichever it is.
pub trait Step: Send + Sync {
    /// Takes the step of a part of the elements.
    fn run(&self, arch: Arch, part: &mut Part<'_>) -> Outcome;
}

/// What a rule is made of.
pub struct Row {
    /// Its name, as in headers.
    pub name: &'static str,
    /// How the integers of its state are kept, and the least and the largest of each.
    pub states: &'static [(Width, i64, i64)],
    /// The step with these constants, in the order of Python's class; None for another number of them.
    pub step: fn(&[i64]) -> Option<Box<dyn Step>>,
}

/// All of them.
pub static RULES: &[Row] = &[
    Row { name: "sgd", states: sgd::PLAIN, step: |c| boxed(sgd::Plain::new(c)?) },
    Row { name: "sgd-momentum", states: sgd::STATES, step: |c| boxed(sgd::Momentum::new(c)?) },
    Row { name: "sgd-nesterov", states: sgd::STATES, step: |c| boxed(sgd::Nesterov::new(c)?) },
    Row { name: "adam", states: adam::STATES, step: adam::step },
    Row { name: "adamw", states: adam::STATES, step: adam::step },
];

/// The row of a rule.
pub fn row(name: &str) -> Option<&'static Row> {
    RULES.iter().find(|row| row.name == name)
}

#[allow(clippy::unnecessary_wraps)]
fn boxed<const N: usize>(rule: impl Update<N>) -> Option<Box<dyn Step>> {
    Some(Box::new(Ruled(rule)))
}
