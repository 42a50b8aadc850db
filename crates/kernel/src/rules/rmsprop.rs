//! `RMSprop`.

use super::adam::next_second_moment;
use super::{State, Update, WEIGHT};
use crate::formats::SECOND_MOMENT_MAX;
use crate::plane::Width;
use crate::round::{quotient, root};

/// W, V.
pub const STATES: &[State] = &[WEIGHT, (Width::Wide, 0..=SECOND_MOMENT_MAX)];

/// A step's constants.
pub struct Rmsprop {
    c2: i64,
    lr: i64,
    e: i64,
    d: i64,
}

impl Rmsprop {
    /// c2, LR, E, D.
    pub fn new(constants: &[i64]) -> Option<Self> {
        let &[c2, lr, e, d] = constants else { return None };
        Some(Self { c2, lr, e, d })
    }
}

impl Update<2> for Rmsprop {
    const WIDTHS: [Width; 2] = [STATES[0].0, STATES[1].0];

    #[inline(always)]
    fn moments(&self, [w, v]: [i64; 2], g: i64) -> ([i64; 2], i64, bool) {
        ([w, next_second_moment(v, g, self.c2)], g, false)
    }

    #[inline(always)]
    fn update(&self, [_, v]: [i64; 2], g: i64) -> (i64, i64) {
        (quotient(self.lr, g, root(v) + self.e), self.d)
    }
}
