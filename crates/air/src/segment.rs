//! What a segment fixes for all of its rows, whatever the rule.

/// Which optional relations are in, and the coefficients that all steps of a segment share.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Segment {
    /// The rule's shift, if it has one; else 0.
    pub s: u32,
    /// Whether the weights decay.
    pub decay: bool,
    /// Whether the weight is shown to be in range without anything being known of it.
    pub weights_in_range: bool,
    /// Adam's and Lion's c1, or SGD's mu.
    pub first: i64,
    /// The c2 of Adam, Lion and RMSprop, or 0.
    pub second: i64,
}

impl Segment {
    /// Whether the weight's limbs are shown: they are where it decays.
    #[must_use]
    pub const fn weight_limbs(&self) -> bool {
        self.decay || self.weights_in_range
    }
}
