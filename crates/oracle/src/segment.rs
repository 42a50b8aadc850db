//! What a statement says of a segment, and the columns that its rows have.

use zk_autograd_air::Rule;
use zk_autograd_air::constants::StepConstants;

/// The bus from the steps to the table.
pub(crate) const BUS: &str = "below 2^16";

/// A column, by its name in the description.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Column {
    /// The weight.
    W,
    /// The first moment.
    M,
    /// The second moment.
    V,
    /// The buffer of momentum.
    B,
    /// A limb of Mh.
    M0,
    /// A limb of Mh.
    M1,
    /// The remainder of M*.
    R2,
    /// The upper limb of Lion's M*.
    M2,
    /// The sign of Lion's C.
    Sg,
    /// A limb of `|C| - 1`.
    K0,
    /// A limb of `|C| - 1`.
    K1,
    /// A limb of `|C| - 1`.
    K2,
    /// A limb of `|C| - 1`.
    K3,
    /// A limb of Xh.
    X0,
    /// A limb of Xh.
    X1,
    /// A limb of Xh.
    X2,
    /// The remainder of `G G - V`.
    Xl,
    /// The second moment after the step.
    NewV,
    /// Its root.
    S,
    /// A limb of `V* - S S`.
    A0,
    /// A limb of `V* - S S`.
    A1,
    /// A limb of B*, or the upper one of `2 S - a`.
    B0,
    /// A limb of B*, or the upper one of `2 S - a`.
    B1,
    /// A limb of U.
    U0,
    /// A limb of U.
    U1,
    /// A limb of the remainder of U.
    R0,
    /// A limb of the remainder of U.
    R1,
    /// A limb of `2 D - 1 - r`.
    C0,
    /// A limb of `2 D - 1 - r`.
    C1,
    /// A limb of Nesterov's argument.
    N0,
    /// A limb of Nesterov's argument.
    N1,
    /// A limb of what U leaves.
    E0,
    /// A limb of what U leaves.
    E1,
    /// A limb of the weight's upper part.
    H0,
    /// A limb of the weight's upper part.
    H1,
    /// A limb of the decay.
    D0,
    /// A limb of the decay.
    D1,
    /// A limb of the decay.
    D2,
    /// The remainder of the decay.
    Rr,
    /// A limb of the gradient.
    G0,
    /// A limb of the gradient.
    G1,
}

impl Column {
    /// Every column, in the order of the declaration.
    #[rustfmt::skip]
    pub(crate) const NAMES: [&str; 41] = [
        "W", "M", "V", "B", "m0", "m1", "r2", "m2", "sg", "k0", "k1", "k2", "k3", "x0", "x1", "x2", "xl", "V*", "S", "a0", "a1", "b0", "b1", "u0",
        "u1", "r0", "r1", "c0", "c1", "n0", "n1", "e0", "e1", "h0", "h1", "d0", "d1", "d2", "rr", "g0", "g1",
    ];

    /// The name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        Self::NAMES[self as usize]
    }
}

/// Whether a rule is Adam or AdamW: the second statement's own view.
#[must_use]
pub const fn is_adam(rule: Rule) -> bool {
    matches!(rule, Rule::Adam | Rule::AdamW)
}

/// Whether a rule divides by the root of a second moment.
#[must_use]
pub const fn has_root(rule: Rule) -> bool {
    matches!(rule, Rule::Adam | Rule::AdamW | Rule::Rmsprop)
}

/// Whether a rule is one of SGD's, which have a shift.
#[must_use]
pub const fn has_shift(rule: Rule) -> bool {
    matches!(rule, Rule::Sgd | Rule::SgdMomentum | Rule::SgdNesterov)
}

/// Which relations a segment has, and its steps' constants: what a statement says.
#[derive(Clone, Debug)]
pub struct Segment {
    /// The rule.
    pub rule: Rule,
    /// SGD's shift, 15 or 30; 0 for other rules.
    pub s: u32,
    /// Whether the weights decay.
    pub decay: bool,
    /// Whether each row shows that its weight is in range.
    pub weights_in_range: bool,
    /// The steps' constants; a no-op comes after all others.
    pub steps: Vec<StepConstants>,
}

impl Segment {
    /// Whether the rule is Adam or AdamW.
    #[must_use]
    pub fn is_adam(&self) -> bool {
        is_adam(self.rule)
    }

    /// Whether the rule divides by the root of a second moment.
    #[must_use]
    pub fn has_root(&self) -> bool {
        has_root(self.rule)
    }

    /// Whether the rule is one of SGD's.
    #[must_use]
    pub fn has_shift(&self) -> bool {
        has_shift(self.rule)
    }

    /// Whether a step of the segment changes nothing.
    #[must_use]
    pub fn is_no_op(&self, step: &StepConstants) -> bool {
        match self.rule {
            Rule::Adam | Rule::AdamW | Rule::Lion => step.c1 == 0,
            Rule::Rmsprop => step.c2 == 0,
            Rule::Sgd | Rule::SgdMomentum | Rule::SgdNesterov => step.cg == 0,
        }
    }

    /// How many parts the state has: W, and M and V, or B.
    #[must_use]
    pub fn states(&self) -> usize {
        match self.rule {
            Rule::Adam | Rule::AdamW => 3,
            Rule::Sgd => 1,
            Rule::SgdMomentum | Rule::SgdNesterov | Rule::Lion | Rule::Rmsprop => 2,
        }
    }

    /// The columns, in the order of the first statement, with [`Column::C0`] at the end where there is a root.
    #[must_use]
    #[rustfmt::skip]
    pub fn columns(&self) -> Vec<Column> {
        use Column::{A0, A1, B, B0, B1, C0, C1, D0, D1, D2, E0, E1, G0, G1, H0, H1, K0, K1, K2, K3, M, M0, M1, M2, N0, N1, NewV, R0, R1,
            R2, Rr, S, Sg, U0, U1, V, W, X0, X1, X2, Xl};
        let mut columns = match self.rule {
            Rule::Adam | Rule::AdamW => {
                vec![W, M, V, M0, M1, R2, X0, X1, X2, Xl, NewV, S, A0, A1, B1, U0, U1, R0, R1, C1]
            }
            Rule::Lion => vec![W, M, M0, M1, M2, Sg, K0, K1, K2, K3],
            Rule::Rmsprop => vec![W, V, X0, X1, X2, Xl, NewV, S, A0, A1, B1, U0, U1, R0, R1, C1],
            Rule::Sgd => vec![W, U0, U1, E0],
            Rule::SgdMomentum => vec![W, B, B0, B1, U0, U1, E0],
            Rule::SgdNesterov => vec![W, B, B0, B1, N0, N1, U0, U1, E0],
        };
        if self.s == 30 && self.has_shift() {
            columns.push(E1);
        }
        if self.decay || self.weights_in_range {
            columns.extend([H0, H1]);
        }
        if self.decay {
            columns.extend([D0, D1, D2, Rr]);
        }
        columns.extend([G0, G1]);
        if self.has_root() {
            columns.push(C0);
        }
        columns
    }
}
