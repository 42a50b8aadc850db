//! Lion.
//!
//! ```text
//! G   = g0 + 2^15 g1 - 2^30                        |G| <= 2^30 + 2^15
//! C   = c1 (2^15 G - M) + 2^15 M,   sg = sign(C) as in [`crate::sign`]
//! M*  = m0 + 2^16 m1 + 2^30 m2 - 2^45
//! c2 (2^15 G - M) + 2^14 = 2^15 (M* - M) + r1      0 <= r1 < 2^15
//! W'  = W - LR sg - R
//! M'  = M + active (M* - M)
//! ```
//!
//! # Why there is one solution
//!
//! As in [`crate::adam`]. Induction over the steps: at the start of a row `|M| <= 2^45 + 2^32`, an integer. The first state is zero; every
//! later one is what these relations gave.
//!
//! * **C**. An expression of integers, a mean of `2^30 G` and `2^15 M` by c1 and `2^15 - c1`: `|C| <= 2^60 + 2^47`, far below the 2^62 that
//!   the proof of its sign asks for.
//! * **M\***. An integer by its limbs, `-2^45 <= M* < 2^45 + 2^32`. (The limbs overlap: several may stand for one M*.)
//!   `|2^15 (M* - M)| < 2^61 + 2^48` and `|c2 (2^15 G - M)| < 2^61 + 2^48`, so `2 r1` is an expression of integers below 2^63 + 2^50 < p:
//!   r1 is the remainder of the division by 2^15 and `M* - M` its only quotient.
//! * **No-op**: `active` = 0 keeps M; LR = 0 leaves W, whatever the sign; G is 0.

use crate::constants::{PERIODIC, Periodic, StepConstants};
use crate::row::{OutOfRange, State, Writer, limbs};
use crate::rule::{Bounded, RuleError, Update};
use crate::segment::Segment;
use crate::sign::{self, Taken};
use crate::sink::{Columns, Sink, Value};
use crate::{decay, gradient};

/// The columns before those of the sign.
const COLUMNS: [&str; 5] = ["W", "M", "m0", "m1", "m2"];

/// Lion with decoupled decay.
pub enum Lion {}

impl Update for Lion {
    const STATES: &'static [&'static str] = &["W", "M"];
    const SHIFTS: &'static [u32] = &[];

    /// c1, c2, LR, D.
    fn step([c1, c2, lr, decay, rest]: [i64; 5], _s: u32) -> Result<StepConstants, RuleError> {
        if rest != 0 {
            return Err(RuleError::new(format!("a step has four constants and then 0, not {rest}")));
        }
        Ok(StepConstants { c1, c2, lr, decay, ..StepConstants::default() })
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
        ]
    }

    fn coefficients(step: &StepConstants) -> (i64, i64) {
        (step.c1, step.c2)
    }

    fn periodic(step: &StepConstants, no_op: bool) -> [i64; PERIODIC] {
        [i64::from(!no_op), step.lr, 0, step.decay]
    }

    fn columns(_segment: &Segment) -> Vec<&'static str> {
        [&COLUMNS[..], &sign::COLUMNS].concat()
    }

    #[inline]
    fn relations<V: Value, S: Sink<V>>(segment: &Segment, columns: &[V], periodic: &Periodic<V>, sink: &mut S) {
        let mut c = Columns::new(columns);
        let (w, m) = (c.take(), c.take());
        let (m0, m1, m2) = (c.take(), c.take(), c.take());
        let sign = Taken::take(&mut c);
        let decayed = decay::relations(segment, &w, &mut c, periodic, sink);
        let (g0, g1) = (c.take(), c.take());

        let g = gradient::relations(&g0, &g1, periodic, sink);
        let x = g.times(1 << 15) - m.clone();
        let sg = sign.relations(x.times(segment.first) + m.times(1 << 15), sink);

        let mn = m0.clone() + m1.times(1 << 16) + m2.times(1 << 30) - V::int(1 << 45);
        let remainder = x.times(segment.second) + V::int(1 << 14) - (mn.clone() - m.clone()).times(1 << 15);
        sink.range("m0", m0);
        sink.range("m1", m1);
        sink.range("m2", m2);
        sink.range("2 (c2 (2^15 G - M) + 2^14 - 2^15 (M* - M))", remainder.times(2));

        sink.next(0, w - periodic.lr.clone() * sg - decayed);
        sink.next(1, m.clone() + periodic.active.clone() * (mn - m));
    }

    fn fill(
        segment: &Segment,
        periodic: &[i64; PERIODIC],
        state: State,
        g: i64,
        row: &mut Writer<'_>,
    ) -> Result<State, OutOfRange> {
        let [active, lr, _, _] = *periodic;
        let [w, m, _] = state;
        limbs("G", g, 1 << 30, 1 << 31)?;
        limbs("M", m, 1 << 45, 1 << 46)?;
        row.put(w);
        row.put(m);
        let x = (g << 15) - m;
        let mn = m + ((segment.second * x + (1 << 14)) >> 15);
        let limb = limbs("M'", mn, 1 << 45, 1 << 46)?;
        row.put(limb & 0xffff);
        row.put((limb >> 16) & 0x3fff);
        row.put(limb >> 30);
        let sign = sign::fill(segment.first * x + (m << 15), row)?;
        let taken = decay::fill(segment, periodic, w, row)?;
        Ok([w - lr * sign - taken, if active == 0 { m } else { mn }, 0])
    }
}
