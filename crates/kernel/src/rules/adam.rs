//! Adam and AdamW.

use super::{State, Step, Update, WEIGHT, boxed};
use crate::formats::{FIRST_MOMENT_BOUND, ROUNDED_MOMENT_BOUND, SECOND_MOMENT_MAX, SHIFT, beyond, rounded};
use crate::plane::Width;
use crate::round::{product, quotient, root};

/// W, M, V.
pub const STATES: &[State] =
    &[WEIGHT, (Width::Middle, 1 - FIRST_MOMENT_BOUND..=FIRST_MOMENT_BOUND - 1), (Width::Wide, 0..=SECOND_MOMENT_MAX)];

/// A step's constants. Without DECAY, D is 0, and nothing is computed with it.
pub struct Adam<const DECAY: bool> {
    c1: i64,
    c2: i64,
    lr: i64,
    e: i64,
    d: i64,
}

/// The step with these constants; none is multiplied in vain.
pub fn step(constants: &[i64]) -> Option<Box<dyn Step>> {
    if constants.last() == Some(&0) {
        boxed(Adam::<false>::new(constants)?)
    } else {
        boxed(Adam::<true>::new(constants)?)
    }
}

impl<const DECAY: bool> Adam<DECAY> {
    /// c1, c2, LR, E, D.
    pub fn new(constants: &[i64]) -> Option<Self> {
        let &[c1, c2, lr, e, d] = constants else { return None };
        debug_assert!(DECAY || d == 0);
        Some(Self { c1, c2, lr, e, d })
    }
}

impl<const DECAY: bool> Update<3> for Adam<DECAY> {
    const WIDTHS: [Width; 3] = [STATES[0].0, STATES[1].0, STATES[2].0];

    #[inline(always)]
    fn moments(&self, [w, m, v]: [i64; 3], g: i64) -> ([i64; 3], i64, bool) {
        let m = m + rounded(self.c1 * ((g << SHIFT) - m));
        let mh = rounded(m);
        ([w, m, next_second_moment(v, g, self.c2)], mh, beyond(mh, ROUNDED_MOMENT_BOUND))
    }

    #[inline(always)]
    fn update(&self, [_, _, v]: [i64; 3], mh: i64) -> (i64, i64) {
        (quotient(self.lr, mh, root(v) + self.e), if DECAY { self.d } else { 0 })
    }
}

/// `V + floor((c2*(G*G - V) + 2^14) / 2^15)`.
///
/// The product exceeds 2^63: its upper and its lower 30 bits are made separately. What the upper ones give is a multiple of
/// 2^30, and stays out of the rounding.
#[inline(always)]
pub fn next_second_moment(v: i64, g: i64, c2: i64) -> i64 {
    let x = product(g, g) - v;
    v + (product(c2, x >> 30) << SHIFT) + rounded(product(c2, x & ((1 << 30) - 1)))
}
