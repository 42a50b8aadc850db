//! SGD: plain, with momentum, Nesterov's.

use super::{State, Update, WEIGHT};
use crate::formats::{MOMENTUM_BOUND, beyond, rounded};
use crate::plane::Width;
use crate::round::product;

/// W.
pub const PLAIN: &[State] = &[WEIGHT];
/// W, B.
pub const STATES: &[State] = &[WEIGHT, (Width::Narrow, 1 - MOMENTUM_BOUND..=MOMENTUM_BOUND - 1)];

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
        rounded(product(self.mu, b) + product(self.cg, g))
    }

    /// U and D.
    #[inline(always)]
    fn update(&self, a: i64) -> (i64, i64) {
        ((product(self.lr, a) + (1 << (self.s - 1))) >> self.s, self.d)
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
    fn moments(&self, state: [i64; 1], g: i64) -> ([i64; 1], i64, bool) {
        (state, self.0.accumulated(0, g), false)
    }

    #[inline(always)]
    fn update(&self, _: [i64; 1], b: i64) -> (i64, i64) {
        self.0.update(b)
    }
}

impl Update<2> for Momentum {
    const WIDTHS: [Width; 2] = [STATES[0].0, STATES[1].0];

    #[inline(always)]
    fn moments(&self, [w, b]: [i64; 2], g: i64) -> ([i64; 2], i64, bool) {
        let b = self.0.accumulated(b, g);
        ([w, b], b, beyond(b, MOMENTUM_BOUND))
    }

    #[inline(always)]
    fn update(&self, _: [i64; 2], b: i64) -> (i64, i64) {
        self.0.update(b)
    }
}

impl Update<2> for Nesterov {
    const WIDTHS: [Width; 2] = [STATES[0].0, STATES[1].0];

    #[inline(always)]
    fn moments(&self, [w, b]: [i64; 2], g: i64) -> ([i64; 2], i64, bool) {
        let b = self.0.accumulated(b, g);
        ([w, b], self.0.accumulated(b, g), beyond(b, MOMENTUM_BOUND))
    }

    #[inline(always)]
    fn update(&self, _: [i64; 2], a: i64) -> (i64, i64) {
        self.0.update(a)
    }
}
