//! SGD: plain, with momentum, Nesterov's.
//!
//! ```text
//! G   = g0 + 2^15 g1 - 2^30
//! B*  = b0 + 2^15 b1 - 2^30,      mu B + 2^14 = 2^15 (B* - G) + rb           0 <= rb < 2^15
//! A   = B*, or for Nesterov's     A = n0 + 2^16 n1 - 2^31,  mu B* + 2^14 = 2^15 (A - G) + rn
//! LR A + 2^(s-1) = 2^s U + e,     U = u0 + 2^16 u1 - 2^31                    0 <= e < 2^s
//! W'  = W - U - R,                B' = B + active (B* - B)
//! ```
//!
//! Plain SGD has no B, and A = G.
//!
//! # Why there is one solution
//!
//! As in [`crate::adam`]; at the start of a row `|B| <= 2^30 + 2^15`.
//!
//! * **B\***. `|mu B + 2^14 - 2^15 (B* - G)| < 2^47`: `2 rb` is an expression of integers, looked up alone.
//! * **A**. The same with `|A| <= 2^31`.
//! * **U, s = 30**. `e = e0 + 2^15 e1`; e1 is a column, looked up as itself and doubled, so it has 15 bits. e0 is an integer because the relation
//!   makes it an expression of integers, and `2 e0` is looked up. `|LR A| < 2^62` and `|2^30 U| <= 2^61`: the line's two sides differ by
//!   less than 2^63, so it holds over the integers, and twice that, `|2 e0| < 2^64 - 2^61`, stays below p - 2^16. U is the floor. Without
//!   limbs of U, another solution lies at `U + 2^34 - 4`, where `2^30 * (2^34 - 4)` is `p - 1`.
//! * **U, s = 15**. `e = e0`, `|2^15 U| <= 2^46`.
//! * **No-op**: LR = 0 makes U = 0; `active` = 0 keeps B; G is 0.

use crate::constants::{PERIODIC, Periodic, StepConstants};
use crate::row::{OutOfRange, State, Writer, limbs};
use crate::rule::{Bounded, RuleError, Update};
use crate::segment::Segment;
use crate::sink::{Columns, Sink, Value};
use crate::{decay, gradient};

/// SGD, with a buffer of momentum or without one; `NESTEROV` looks ahead of it.
pub enum Sgd<const MOMENTUM: bool, const NESTEROV: bool> {}

/// Plain gradient descent.
pub type Plain = Sgd<false, false>;

/// Gradient descent with momentum.
pub type Momentum = Sgd<true, false>;

/// Gradient descent with Nesterov's momentum.
pub type Nesterov = Sgd<true, true>;

impl<const MOMENTUM: bool, const NESTEROV: bool> Update for Sgd<MOMENTUM, NESTEROV> {
    const STATES: &'static [&'static str] = if MOMENTUM { &["W", "B"] } else { &["W"] };
    const SHIFTS: &'static [u32] = &[15, 30];

    /// mu, cg, LR, s, D.
    fn step([mu, cg, lr, own, decay]: [i64; 5], s: u32) -> Result<StepConstants, RuleError> {
        if own != i64::from(s) {
            return Err(RuleError::new(format!("a step has s = {own}, and the statement s = {s}")));
        }
        Ok(StepConstants { mu, cg, lr, decay, ..StepConstants::default() })
    }

    fn is_no_op(step: &StepConstants) -> Result<bool, RuleError> {
        Ok(step.cg == 0)
    }

    fn ranges(step: &StepConstants, no_op: bool) -> Vec<Bounded> {
        if no_op {
            return vec![("mu", step.mu, 1 << 15..=1 << 15), ("LR", step.lr, 0..=0)];
        }
        vec![
            ("mu", step.mu, 0..=if MOMENTUM { (1 << 15) - 1 } else { 0 }),
            ("cg", step.cg, 1 << 15..=1 << 15),
            ("LR", step.lr, 0..=(1 << 31) - 1),
        ]
    }

    fn coefficients(step: &StepConstants) -> (i64, i64) {
        (step.mu, 0)
    }

    fn periodic(step: &StepConstants, no_op: bool) -> [i64; PERIODIC] {
        [i64::from(!no_op), step.lr, 0, step.decay]
    }

    fn columns(segment: &Segment) -> Vec<&'static str> {
        let mut names = Self::STATES.to_vec();
        if MOMENTUM {
            names.extend(["b0", "b1"]);
        }
        if NESTEROV {
            names.extend(["n0", "n1"]);
        }
        names.extend(["u0", "u1", "e0"]);
        if segment.s == 30 {
            names.push("e1");
        }
        names
    }

    #[inline]
    fn relations<V: Value, S: Sink<V>>(segment: &Segment, columns: &[V], periodic: &Periodic<V>, sink: &mut S) {
        let mut c = Columns::new(columns);
        let w = c.take();
        let b = MOMENTUM.then(|| c.take());
        let next_limbs = MOMENTUM.then(|| (c.take(), c.take()));
        let argument_limbs = NESTEROV.then(|| (c.take(), c.take()));
        let (u0, u1, e0) = (c.take(), c.take(), c.take());
        let e1 = (segment.s == 30).then(|| c.take());
        let decayed = decay::relations(segment, &w, &mut c, periodic, sink);
        let (g0, g1) = (c.take(), c.take());

        let g = gradient::relations(&g0, &g1, periodic, sink);
        let mut argument = g.clone();
        let mut next = None;
        if let (Some(b), Some((b0, b1))) = (b, next_limbs) {
            let bn = b0.clone() + b1.times(1 << 15) - V::int(1 << 30);
            let remainder = b.times(segment.first) + V::int(1 << 14) - (bn.clone() - g.clone()).times(1 << 15);
            sink.range("b0", b0);
            sink.range("b1", b1);
            sink.range("2 (mu B + 2^14 - 2^15 (B* - G))", remainder.times(2));
            argument = bn.clone();
            if let Some((n0, n1)) = argument_limbs {
                argument = n0.clone() + n1.times(1 << 16) - V::int(1 << 31);
                let remainder = bn.times(segment.first) + V::int(1 << 14) - (argument.clone() - g).times(1 << 15);
                sink.range("n0", n0);
                sink.range("n1", n1);
                sink.range("2 (mu B* + 2^14 - 2^15 (A - G))", remainder.times(2));
            }
            next = Some(b.clone() + periodic.active.clone() * (bn - b));
        }

        let u = u0.clone() + u1.times(1 << 16) - V::int(1 << 31);
        let mut e = e0.clone();
        if let Some(e1) = &e1 {
            e = e + e1.times(1 << 15);
        }
        sink.zero(
            "LR A + 2^(s-1) = 2^s U + e",
            periodic.lr.clone() * argument + V::int(1 << (segment.s - 1)) - u.times(1 << segment.s) - e,
        );
        sink.range("u0", u0);
        sink.range("u1", u1);
        sink.range("2 e0", e0.times(2));
        if let Some(e1) = e1 {
            sink.range("e1", e1.clone());
            sink.range("2 e1", e1.times(2));
        }

        sink.next(0, w - u - decayed);
        if let Some(next) = next {
            sink.next(1, next);
        }
    }

    fn fill(
        segment: &Segment,
        periodic: &[i64; PERIODIC],
        state: State,
        g: i64,
        row: &mut Writer<'_>,
    ) -> Result<State, OutOfRange> {
        let [active, lr, _, _] = *periodic;
        let [w, b, _] = state;
        let mu = segment.first;
        limbs("G", g, 1 << 30, 1 << 31)?;
        row.put(w);
        let mut argument = g;
        let mut next = 0;
        if MOMENTUM {
            limbs("B", b, 1 << 30, 1 << 31)?;
            row.put(b);
            let bn = ((mu * b + (1 << 14)) >> 15) + g;
            let limb = limbs("B'", bn, 1 << 30, 1 << 31)?;
            row.put(limb & 0x7fff);
            row.put(limb >> 15);
            argument = bn;
            if NESTEROV {
                argument = ((mu * bn + (1 << 14)) >> 15) + g;
                let limb = limbs("A", argument, 1 << 31, 1 << 32)?;
                row.put(limb & 0xffff);
                row.put(limb >> 16);
            }
            next = if active == 0 { b } else { bn };
        }
        let s = segment.s;
        let y = lr * argument + (1 << (s - 1));
        let u = y >> s;
        let e = y & ((1 << s) - 1);
        let limb = limbs("U", u, 1 << 31, 1 << 32)?;
        row.put(limb & 0xffff);
        row.put(limb >> 16);
        row.put(e & 0x7fff);
        if s == 30 {
            row.put(e >> 15);
        }
        let taken = decay::fill(segment, periodic, w, row)?;
        Ok([w - u - taken, next, 0])
    }
}
