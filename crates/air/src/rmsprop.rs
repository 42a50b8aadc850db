//! RMSprop.
//!
//! ```text
//! G   = g0 + 2^15 g1 - 2^30                        |G| <= 2^30 + 2^15
//! V*, S, U as in [`crate::second_moment`]: 2 LR G + D = 2 D U + r
//! W'  = W - U - R
//! V'  = V + active (V* - V)
//! ```
//!
//! # Why there is one solution
//!
//! Induction over the steps: at the start of a row `0 <= V <= B` with `B = (2^30 + 2^15)^2`, an integer. The first state is zero; every
//! later one is what these relations gave. The numerator is G, with the bound that its limbs show, so [`crate::second_moment`] has the
//! whole argument.
//!
//! * **No-op**: `active` = 0 keeps V whatever the row computes; LR = 0 makes U = 0 (`D = 2 D U + r` with `0 <= r < 2 D`); G is 0.

use crate::constants::{PERIODIC, Periodic, StepConstants};
use crate::row::{OutOfRange, State, Writer, limbs};
use crate::rule::{Bounded, RuleError, Update};
use crate::second_moment::{self, Taken};
use crate::segment::Segment;
use crate::sink::{Columns, Sink, Value};
use crate::{decay, gradient};

/// RMSprop without momentum, not centered.
pub enum Rmsprop {}

impl Update for Rmsprop {
    const STATES: &'static [&'static str] = &["W", "V"];
    const SHIFTS: &'static [u32] = &[];

    /// c2, LR, E, D.
    fn step([c2, lr, eps, decay, rest]: [i64; 5], _s: u32) -> Result<StepConstants, RuleError> {
        if rest != 0 {
            return Err(RuleError::new(format!("a step has four constants and then 0, not {rest}")));
        }
        Ok(StepConstants { c2, lr, eps, decay, ..StepConstants::default() })
    }

    fn is_no_op(step: &StepConstants) -> Result<bool, RuleError> {
        Ok(step.c2 == 0)
    }

    fn ranges(step: &StepConstants, no_op: bool) -> Vec<Bounded> {
        vec![
            ("c2", step.c2, 0..=1 << 15),
            ("LR", step.lr, 0..=if no_op { 0 } else { (1 << 30) - 1 }),
            ("E", step.eps, 1..=if no_op { 1 } else { (1 << 29) - 1 }),
        ]
    }

    fn coefficients(step: &StepConstants) -> (i64, i64) {
        (0, step.c2)
    }

    fn periodic(step: &StepConstants, no_op: bool) -> [i64; PERIODIC] {
        [i64::from(!no_op), step.lr, step.eps, step.decay]
    }

    fn columns(_segment: &Segment) -> Vec<&'static str> {
        [Self::STATES, &second_moment::COLUMNS].concat()
    }

    #[inline]
    fn relations<V: Value, S: Sink<V>>(segment: &Segment, columns: &[V], periodic: &Periodic<V>, sink: &mut S) {
        let mut c = Columns::new(columns);
        let (w, v) = (c.take(), c.take());
        let second = Taken::take(&mut c);
        let decayed = decay::relations(segment, &w, &mut c, periodic, sink);
        let (g0, g1) = (c.take(), c.take());

        let g = gradient::relations(&g0, &g1, periodic, sink);
        let line = "2 LR G + D = 2 D U + r";
        let (u, vn) = second.relations(segment, (g.clone(), &v, g), periodic, line, sink);
        sink.next(0, w - u - decayed);
        sink.next(1, v.clone() + periodic.active.clone() * (vn - v));
    }

    fn fill(
        segment: &Segment,
        periodic: &[i64; PERIODIC],
        state: State,
        g: i64,
        row: &mut Writer<'_>,
    ) -> Result<State, OutOfRange> {
        let [active, lr, eps, _] = *periodic;
        let [w, v, _] = state;
        limbs("G", g, 1 << 30, 1 << 31)?;
        limbs("V", v, 0, (1 << 60) + 1)?;
        row.put(w);
        row.put(v);
        let (u, vn) = second_moment::fill(segment.second, (lr, eps), (g, v, g), row)?;
        let taken = decay::fill(segment, periodic, w, row)?;
        Ok([w - u - taken, if active == 0 { v } else { vn }, 0])
    }
}
