//! The public constants of a segment's steps, and what of them is the same for all of its rows.

/// The constants of one step, as the rules document names them. A rule reads those that it has; the others are 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StepConstants {
    /// Adam, Lion: `round((1 - beta1) * 2^15)`; 0 in a no-op step.
    pub c1: i64,
    /// Adam, Lion: `round((1 - beta2) * 2^15)`, RMSprop with its alpha; 0 in a no-op step.
    pub c2: i64,
    /// SGD: `round(momentum * 2^15)`; 2^15 in a no-op step.
    pub mu: i64,
    /// SGD: the gradient's coefficient, 2^15, or 0 in a no-op step.
    pub cg: i64,
    /// The learning rate's integer.
    pub lr: i64,
    /// Adam, RMSprop: the integer of eps.
    pub eps: i64,
    /// The decay's integer.
    pub decay: i64,
}

/// What a row knows of its step: `active` is 0 in a no-op step and 1 in any other.
#[derive(Clone, Copy, Debug)]
pub struct Periodic<V> {
    /// 1, or 0 in a no-op step.
    pub active: V,
    /// The learning rate's integer.
    pub lr: V,
    /// Adam, RMSprop: the integer of eps.
    pub eps: V,
    /// The decay's integer.
    pub decay: V,
}

/// How many periodic columns there are.
pub const PERIODIC: usize = 4;

impl<V: Clone> Periodic<V> {
    /// From an array in the order of the fields.
    #[must_use]
    pub fn from_array([active, lr, eps, decay]: [V; PERIODIC]) -> Self {
        Self { active, lr, eps, decay }
    }
}

/// The constants of a segment: coefficients that all its steps share, and the periodic rest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SegmentConstants {
    /// Adam's and Lion's c1, or SGD's mu.
    pub first: i64,
    /// The c2 of Adam, Lion and RMSprop, or 0.
    pub second: i64,
    /// For each step active, LR, E, D.
    pub periodic: Vec<[i64; PERIODIC]>,
}
