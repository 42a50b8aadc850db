//! Lion.

use super::{State, Update, WEIGHT};
use crate::formats::{FIRST_MOMENT_BOUND, SHIFT, rounded};
use crate::plane::Width;
use crate::round::product;

/// W, M.
pub const STATES: &[State] = &[WEIGHT, (Width::Middle, 1 - FIRST_MOMENT_BOUND..=FIRST_MOMENT_BOUND - 1)];

/// A step's constants.
pub struct Lion {
    c1: i64,
    c2: i64,
    lr: i64,
    d: i64,
}

impl Lion {
    /// c1, c2, LR, D.
    pub fn new(constants: &[i64]) -> Option<Self> {
        let &[c1, c2, lr, d] = constants else { return None };
        Some(Self { c1, c2, lr, d })
    }
}

impl Update<2> for Lion {
    const WIDTHS: [Width; 2] = [STATES[0].0, STATES[1].0];

    #[inline(always)]
    fn moments(&self, [w, m]: [i64; 2], g: i64) -> ([i64; 2], i64, bool) {
        let x = (g << SHIFT) - m;
        let c = self.c1 * x + (m << SHIFT);
        ([w, m + rounded(self.c2 * x)], i64::from(c > 0) - i64::from(c < 0), false)
    }

    #[inline(always)]
    fn update(&self, _: [i64; 2], sign: i64) -> (i64, i64) {
        (product(self.lr, sign), self.d)
    }
}
