//! SGD: plain, with momentum, Nesterov's.

use super::Update;
use crate::formats::{MOMENTUM_BOUND, SHIFT, UPDATE_BOUND, WEIGHT_BOUND, beyond, rounded};
use crate::plane::Width;

const WEIGHT: (Width, i64, i64) = (Width::Middle, 1 - WEIGHT_BOUND, WEIGHT_BOUND - 1);

/// W.
pub const PLAIN: &[(Width, i64, i64)] = &[WEIGHT];
/// W, B.
pub const STATES: &[(Width, i64, i64)] = &[WEIGHT, (Width::Narrow, 1 - MOMENTUM_BOUND, MOMENTUM_BOUND - 1)];

/// A step's constants.
struct Constants {
    mu: i64,
    cg: i64,
    lr: i64,
    s: u32,
    d: i64,
}

/// Without momentum.
pub struct Plain(Constants);
/// With it.
pub struct Momentum(Constants);
/// With Nesterov's.
pub struct Nesterov(Constants);

impl Constants {
    /// mu, cg, LR, s, D.
    fn new(constants: &[i64]) -> Option<Self> {
        let &[mu, cg, lr, s, d] = constants else { return None };
        Some(Self { mu, cg, lr, s: s.try_into().ok().filter(|s| (1..63).contains(s))?, d })
    }

    #[inline(always)]
    fn accumulated(&self, b: i64, g: i64) -> i64 {
        rounded(self.mu * b + self.cg * g)
    }

    /// The next weight, and whether it or the update left its range.
    #[inline(always)]
    fn moved(&self, w: i64, a: i64) -> (i64, bool) {
        let u = (self.lr * a + (1 << (self.s - 1))) >> self.s;
        let r = rounded(self.d * (w >> SHIFT));
        let w = w - u - r;
        (w, beyond(u, UPDATE_BOUND) | beyond(w, WEIGHT_BOUND))
    }
}

impl Plain {
    pub fn new(constants: &[i64]) -> Option<Self> {
        Constants::new(constants).map(Self)
    }
}

impl Momentum {
    pub fn new(constants: &[i64]) -> Option<Self> {
        Constants::new(constants).map(Self)
    }
}

impl Nesterov {
    pub fn new(constants: &[i64]) -> Option<Self> {
        Constants::new(constants).map(Self)
    }
}

impl Update<1> for Plain {
    const WIDTHS: [Width; 1] = [PLAIN[0].0];

    #[inline(always)]
    fn element(&self, [w]: [i64; 1], g: i64) -> ([i64; 1], bool) {
        let (w, bad) = self.0.moved(w, self.0.accumulated(0, g));
        ([w], bad)
    }
}

impl Update<2> for Momentum {
    const WIDTHS: [Width; 2] = [STATES[0].0, STATES[1].0];

    #[inline(always)]
    fn element(&self, [w, b]: [i64; 2], g: i64) -> ([i64; 2], bool) {
        let b = self.0.accumulated(b, g);
        let (w, bad) = self.0.moved(w, b);
        ([w, b], bad | beyond(b, MOMENTUM_BOUND))
    }
}

impl Update<2> for Nesterov {
    const WIDTHS: [Width; 2] = [STATES[0].0, STATES[1].0];

    #[inline(always)]
    fn element(&self, [w, b]: [i64; 2], g: i64) -> ([i64; 2], bool) {
        let b = self.0.accumulated(b, g);
        let (w, bad) = self.0.moved(w, self.0.accumulated(b, g));
        ([w, b], bad | beyond(b, MOMENTUM_BOUND))
    }
}
