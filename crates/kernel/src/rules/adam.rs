//! Adam and AdamW.

use super::Update;
use crate::formats::{
    FIRST_MOMENT_BOUND, GRADIENT_BOUND, ROUNDED_MOMENT_BOUND, SECOND_MOMENT_MAX, SHIFT, UPDATE_BOUND, WEIGHT_BOUND,
    beyond, rounded,
};
use crate::plane::Width;
use crate::round::{quotient, root};

/// W, M, V.
pub const STATES: &[(Width, i64, i64)] = &[
    (Width::Middle, 1 - WEIGHT_BOUND, WEIGHT_BOUND - 1),
    (Width::Middle, 1 - FIRST_MOMENT_BOUND, FIRST_MOMENT_BOUND - 1),
    (Width::Wide, 0, SECOND_MOMENT_MAX),
];

/// A step's constants.
pub struct Adam {
    c1: i64,
    c2: i64,
    lr: i32,
    e: i64,
    d: i64,
}

impl Adam {
    /// c1, c2, LR, E, D.
    pub fn new(constants: &[i64]) -> Option<Self> {
        let &[c1, c2, lr, e, d] = constants else { return None };
        Some(Self { c1, c2, lr: lr.try_into().ok()?, e, d })
    }
}

impl Update<3> for Adam {
    const WIDTHS: [Width; 3] = [STATES[0].0, STATES[1].0, STATES[2].0];

    #[inline(always)]
    #[allow(clippy::cast_possible_truncation)] // within the bounds; beyond them a flag is raised
    fn element(&self, [w, m, v]: [i64; 3], g: i32) -> ([i64; 3], bool) {
        let g = i64::from(g);
        let m = m + rounded(self.c1 * ((g << SHIFT) - m));
        let mh = rounded(m);
        // c2*x exceeds 2^63: its high and low bits are multiplied separately
        let x = g * g - v;
        let v = v + self.c2 * (x >> SHIFT) + rounded(self.c2 * (x & ((1 << SHIFT) - 1)));
        let (u, far) = quotient(self.lr, mh as i32, (root(v) + self.e) as i32);
        let r = rounded(self.d * (w >> SHIFT));
        let w = w - u - r;
        let bad = beyond(g, GRADIENT_BOUND)
            | beyond(mh, ROUNDED_MOMENT_BOUND)
            | far
            | beyond(u, UPDATE_BOUND)
            | beyond(w, WEIGHT_BOUND);
        ([w, m, v], bad)
    }
}
