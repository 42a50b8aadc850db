//! The update rules, element by element: a file and a row each. Their definitions are those of Python's `core.rules`.

use std::ops::RangeInclusive;

use crate::arch::Arch;
use crate::block::{Outcome, Part, Ruled, STATES};
use crate::formats::{SHIFT, UPDATE_BOUND, WEIGHT_BOUND, beyond, rounded};
use crate::plane::Width;
use crate::round::product;

mod adam;
mod lion;
mod rmsprop;
mod sgd;

/// A rule with the constants of a step. N integers make the state of an element, W first.
pub(crate) trait Update<const N: usize>: Send + Sync + 'static {
    /// How they are kept: wide enough for every state that a step may begin or end with.
    const WIDTHS: [Width; N];

    /// The next state of an element but for its W, which isn't looked at; what its weight moves along, a number of 32
    /// bits; and whether one of them left its range, and means nothing.
    ///
    /// The same instructions whatever the values are. `state` is in its ranges, and so is `g`, or the step is refused
    /// anyway: then it is any number of 32 bits.
    fn moments(&self, state: [i64; N], g: i64) -> ([i64; N], i64, bool);

    /// U, and D, the decay. U is out of its range if the exact one is, and may then be another number. `state` is the
    /// next one but for its W.
    fn update(&self, state: [i64; N], direction: i64) -> (i64, i64);
}

/// A rule with its constants, whichever it is.
pub(crate) trait Step: Send + Sync {
    /// Takes the step of a part of the elements.
    fn run(&self, arch: Arch, part: &mut Part<'_>) -> Outcome;
}

/// What a rule is made of.
pub struct Row {
    /// Its name, as in headers.
    pub(crate) name: &'static str,
    /// How the integers of its state are kept, W first, and the range in which every step leaves them.
    pub(crate) states: &'static [State],
    /// The step with these constants, in the order of Python's class; None if they are another rule's.
    pub(crate) step: fn(&[i64]) -> Option<Box<dyn Step>>,
}

/// A state of a rule.
pub(crate) type State = (Width, RangeInclusive<i64>);

pub(crate) const WEIGHT: State = (Width::Middle, 1 - WEIGHT_BOUND..=WEIGHT_BOUND - 1);

impl Row {
    /// The bytes of an element's state.
    pub(crate) fn bytes(&self) -> usize {
        self.states.iter().map(|(width, _)| width.bytes()).sum()
    }
}

/// All of them.
static RULES: &[Row] = &[
    Row { name: "sgd", states: sgd::PLAIN, step: |c| boxed(sgd::Plain::new(c)?) },
    Row { name: "sgd-momentum", states: sgd::STATES, step: |c| boxed(sgd::Momentum::new(c)?) },
    Row { name: "sgd-nesterov", states: sgd::STATES, step: |c| boxed(sgd::Nesterov::new(c)?) },
    Row { name: "adam", states: adam::STATES, step: adam::step },
    Row { name: "lion", states: lion::STATES, step: |c| boxed(lion::Lion::new(c)?) },
    Row { name: "rmsprop", states: rmsprop::STATES, step: |c| boxed(rmsprop::Rmsprop::new(c)?) },
    Row { name: "adamw", states: adam::STATES, step: adam::step },
];

/// The names of all.
pub fn names() -> impl Iterator<Item = &'static str> {
    RULES.iter().map(|row| row.name)
}

/// The row of a rule.
#[must_use]
pub fn row(name: &str) -> Option<&'static Row> {
    RULES.iter().find(|row| row.name == name)
}

#[allow(clippy::unnecessary_wraps)]
fn boxed<const N: usize>(rule: impl Update<N>) -> Option<Box<dyn Step>> {
    const { assert!(N >= 1 && N <= STATES, "W, and no more states than a part has room for") };
    Some(Box::new(Ruled(rule)))
}

/// W' = W - U - R, with R = floor((D*floor(W / 2^15) + 2^14) / 2^15), and whether U or W' is out of its range. U may be
/// any number.
#[inline(always)]
pub(crate) fn moved(w: i64, u: i64, d: i64) -> (i64, bool) {
    let next = w.wrapping_sub(u).wrapping_sub(rounded(product(d, w >> SHIFT)));
    (next, beyond(u, UPDATE_BOUND) | beyond(next, WEIGHT_BOUND))
}
