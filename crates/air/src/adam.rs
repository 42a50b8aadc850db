//! Adam and AdamW.
//!
//! ```text
//! G   = g0 + 2^15 g1 - 2^30                        |G| <= 2^30 + 2^15
//! Mh  = m0 + 2^15 m1 - 2^30,  M* = 2^15 Mh + r2 - 2^14
//! c1 (2^15 G - M) + 2^14 = 2^15 (M* - M) + r1      0 <= r1, r2 < 2^15
//! G G - V = xl + 2^15 Xh,     Xh = x0 + 2^16 x1 + 2^31 x2 - 2^46
//! c2 xl + 2^14 = 2^15 q + rho                      0 <= xl, rho < 2^15
//! V*  = V + c2 Xh + q = S S + a                    0 <= a <= 2 S
//! 2 LR Mh + D = 2 D U + r,    D = S + E            0 <= r < 2 D
//! W'  = W - U - R
//! M'  = M + active (M* - M),  V' = V + active (V* - V)
//! ```
//!
//! # Why there is one solution
//!
//! All values are integers modulo p = 2^64 - 2^32 + 1. A looked-up column is an integer in `0 .. 2^16`. Where an expression `e` of
//! integers is looked up as `2 e`, and `|2 e| + 2^16 < p`, then `2 e` is an integer in `0 .. 2^16` and hence `0 <= e < 2^15`: no half
//! integer passes, because `e` is an integer to begin with. A *column* of 15 bits is looked up twice, as itself and doubled.
//!
//! Induction over the steps: at the start of a row `|M| <= 2^45 + 2^31` and `0 <= V <= B` with `B = (2^30 + 2^15)^2`, as integers. The
//! first state is zero; every later one is what these relations gave.
//!
//! * **M\***. `|2^15 (M* - M)| < 2^61 + 2^48` and `|c1 (2^15 G - M)| < 2^61 + 2^48`, so `2 r1` is an expression below 2^63 + 2^50 < p.
//!   Then `r1` is the remainder of the division by 2^15 and `M*` its only quotient; `r2` is the remainder of `M* + 2^14`, and `Mh` the
//!   quotient. `|Mh| <= 2^30 + 2^15` and the bound on `M*` follow from the limbs.
//! * **V\*, S, U**. As in [`crate::second_moment`], with Mh for N. `c1 > 0` is not needed.
//! * **No-op**: `active` = 0 keeps M and V whatever the row computes; LR = 0 makes U = 0 (`D = 2 D U + r` with `0 <= r < 2 D`); G is 0.

use crate::constants::{PERIODIC, Periodic, StepConstants};
use crate::row::{OutOfRange, State, Writer, limbs};
use crate::rule::{Bounded, RuleError, Update};
use crate::second_moment::{self, Taken};
use crate::segment::Segment;
use crate::sink::{Columns, Sink, Value};
use crate::{decay, gradient};

/// The columns before those of the second moment: states, then limbs and a remainder.
const COLUMNS: [&str; 6] = ["W", "M", "V", "m0", "m1", "r2"];

/// Adam; with decay it is AdamW.
pub enum Adam {}

impl Update for Adam {
    const STATES: &'static [&'static str] = &["W", "M", "V"];
    const SHIFTS: &'static [u32] = &[];

    /// c1, c2, LR, E, D.
    fn step([c1, c2, lr, eps, decay]: [i64; 5], _s: u32) -> Result<StepConstants, RuleError> {
        Ok(StepConstants { c1, c2, lr, eps, decay, ..StepConstants::default() })
    }

    fn is_no_op(step: &StepConstants) -> Result<bool, RuleError> {
        let zeros = (step.c1 == 0, step.c2 == 0);
        if zeros.0 != zeros.1 {
            return Err(RuleError::new("c1 and c2 are 0 in a no-op step, both or none".into()));
        }
        Ok(zeros.0)
    }

    fn ranges(step: &StepConstants, no_op: bool) -> Vec<Bounded> {
        vec![
            ("c1", step.c1, 0..=1 << 15),
            ("c2", step.c2, 0..=1 << 15),
            ("LR", step.lr, 0..=if no_op { 0 } else { (1 << 30) - 1 }),
            ("E", step.eps, 1..=if no_op { 1 } else { (1 << 29) - 1 }),
        ]
    }

    fn coefficients(step: &StepConstants) -> (i64, i64) {
        (step.c1, step.c2)
    }

    fn periodic(step: &StepConstants, no_op: bool) -> [i64; PERIODIC] {
        [i64::from(!no_op), step.lr, step.eps, step.decay]
    }

    fn columns(_segment: &Segment) -> Vec<&'static str> {
        [&COLUMNS[..], &second_moment::COLUMNS].concat()
    }

    #[inline]
    fn relations<V: Value, S: Sink<V>>(segment: &Segment, columns: &[V], periodic: &Periodic<V>, sink: &mut S) {
        let mut c = Columns::new(columns);
        let (w, m, v) = (c.take(), c.take(), c.take());
        let (m0, m1, r2) = (c.take(), c.take(), c.take());
        let second = Taken::take(&mut c);
        let decayed = decay::relations(segment, &w, &mut c, periodic, sink);
        let (g0, g1) = (c.take(), c.take());

        let g = gradient::relations(&g0, &g1, periodic, sink);

        let mh = m0.clone() + m1.times(1 << 15) - V::int(1 << 30);
        let mn = mh.times(1 << 15) + r2.clone() - V::int(1 << 14);
        let remainder = (g.times(1 << 15) - m.clone()).times(segment.first) + V::int(1 << 14)
            - (mn.clone() - m.clone()).times(1 << 15);
        sink.range("m0", m0);
        sink.range("m1", m1);
        sink.range("r2", r2.clone());
        sink.range("2 r2", r2.times(2));
        sink.range("2 (c1 (2^15 G - M) + 2^14 - 2^15 (M* - M))", remainder.times(2));

        let line = "2 LR Mh + D = 2 D U + r";
        let (u, vn) = second.relations(segment, (g, &v, mh), periodic, line, sink);
        sink.next(0, w - u - decayed);
        sink.next(1, m.clone() + periodic.active.clone() * (mn - m));
        sink.next(2, v.clone() + periodic.active.clone() * (vn - v));
    }

    fn fill(
        segment: &Segment,
        periodic: &[i64; PERIODIC],
        state: State,
        g: i64,
        row: &mut Writer<'_>,
    ) -> Result<State, OutOfRange> {
        let [active, lr, eps, _] = *periodic;
        let [w, m, v] = state;
        let (c1, c2) = (segment.first, segment.second);
        limbs("G", g, 1 << 30, 1 << 31)?;
        limbs("M", m, 1 << 45, 1 << 46)?;
        limbs("V", v, 0, (1 << 60) + 1)?;
        row.put(w);
        row.put(m);
        row.put(v);

        let mn = m + ((c1 * ((g << 15) - m) + (1 << 14)) >> 15);
        let rounded = mn + (1 << 14);
        let mh = rounded >> 15;
        let limb = limbs("Mh", mh, 1 << 30, 1 << 31)?;
        row.put(limb & 0x7fff);
        row.put(limb >> 15);
        row.put(rounded & 0x7fff);

        let (u, vn) = second_moment::fill(c2, (lr, eps), (g, v, mh), row)?;
        let taken = decay::fill(segment, periodic, w, row)?;
        Ok(if active == 0 { [w - u - taken, m, v] } else { [w - u - taken, mn, vn] })
    }
}
