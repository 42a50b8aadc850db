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
//! * **Xh, xl**. `|Xh| <= 2^46 + 2^33`; `|G G - V - 2^15 Xh| < 2^62 + 2^50`, doubled below p. So `xl` is the remainder and `Xh` the floor.
//!   Without limbs of Xh, `xl +- 1` would move it by a fraction.
//! * **q**. `a1 + b1 + q + 1` is looked up, and so are `a1` and `b1`: `-2^17 < q < 2^16`. Then `|c2 xl + 2^14 - 2^15 q| < 2^33`: rho and q
//!   are the remainder and the quotient, and `0 <= q <= 2^15`. `V*` is, as an integer, `V + floor((c2 X + 2^14) / 2^15)`, a rounded
//!   mean of `V` and `G G`: `0 <= V* <= B`.
//! * **S**. `a = a0 + 2^16 a1` and `b = b0 + 2^16 b1` are in `0 .. 2^32`, and `b = 2 S - a`. Let `v = a + b`, so `2 S = v` modulo p. From
//!   `a1 + b1 <= 65534 - q` follows `v <= 2^32 - 2`. `4 V* = v v + 4 a - k p`; the size of the terms leaves `k` in {0, 1}. For k = 1, modulo 4,
//!   `v` is odd, hence `v <= 2^32 - 3`, `v v <= p - 5 * 2^32 + 8`, and `4 a >= 5 * 2^32 - 8`, but `a < 2^32`: impossible. For k = 0 `v` is
//!   even: S is an integer, `S S <= V* <= S S + 2 S`, and so S is the floor of the root; `S <= 2^30 + 2^15`.
//! * **U**. `|2 LR Mh| < 2^61 + 2^47`, `D < 2^30 + 2^29 + 2^15`, `|U| <= 2^31`: the line's two sides differ by less than 2^63 + 2^50 < p, so it
//!   holds over the integers. `r` and `2 D - 1 - r` are in `0 .. 2^32`, so U is the nearest integer, halves up. `c1 > 0` is not needed.
//! * **No-op**: `active` = 0 keeps M and V whatever the row computes; LR = 0 makes U = 0 (`D = 2 D U + r` with `0 <= r < 2 D`); G is 0.

use crate::constants::{PERIODIC, Periodic, StepConstants};
use crate::row::{OutOfRange, State, Writer, limbs};
use crate::rule::{Bounded, RuleError, Update};
use crate::segment::Segment;
use crate::sink::{Columns, Sink, Value};
use crate::{decay, gradient};

/// The columns, without the gradient's: states, then limbs and remainders.
const COLUMNS: [&str; 20] = [
    "W", "M", "V", "m0", "m1", "r2", "x0", "x1", "x2", "xl", "V*", "S", "a0", "a1", "b1", "u0", "u1", "r0", "r1", "c1",
];

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
        COLUMNS.to_vec()
    }

    #[inline]
    fn relations<V: Value, S: Sink<V>>(segment: &Segment, columns: &[V], periodic: &Periodic<V>, sink: &mut S) {
        let mut c = Columns::new(columns);
        let (w, m, v) = (c.take(), c.take(), c.take());
        let (m0, m1, r2) = (c.take(), c.take(), c.take());
        let (x0, x1, x2, xl, vn) = (c.take(), c.take(), c.take(), c.take(), c.take());
        let (s, a0, a1, b1) = (c.take(), c.take(), c.take(), c.take());
        let (u0, u1, r_low, r_high, c_high) = (c.take(), c.take(), c.take(), c.take(), c.take());
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

        let xh = x0.clone() + x1.times(1 << 16) + x2.times(1 << 31) - V::int(1 << 46);
        sink.zero("G G - V = xl + 2^15 Xh", g.clone() * g - v.clone() - xl.clone() - xh.times(1 << 15));
        sink.range("x0", x0);
        sink.range("x1", x1);
        sink.range("x2", x2);
        sink.range("2 xl", xl.times(2));
        let q = vn.clone() - v.clone() - xh.times(segment.second);
        let rho = xl.times(segment.second) + V::int(1 << 14) - q.times(1 << 15);
        sink.range("2 (c2 xl + 2^14 - 2^15 q)", rho.times(2));

        let a = a0.clone() + a1.times(1 << 16);
        sink.zero("V* = S S + a", s.clone() * s.clone() + a.clone() - vn.clone());
        let b0 = s.times(2) - a - b1.times(1 << 16);
        sink.range("a1 + b1 + q + 1", a1.clone() + b1.clone() + q + V::int(1));
        sink.range("a0", a0);
        sink.range("a1", a1);
        sink.range("2 S - a - 2^16 b1", b0);
        sink.range("b1", b1);

        let d = s + periodic.eps.clone();
        let u = u0.clone() + u1.times(1 << 16) - V::int(1 << 31);
        let r = r_low.clone() + r_high.times(1 << 16);
        sink.zero(
            "2 LR Mh + D = 2 D U + r",
            (periodic.lr.clone() * mh - d.clone() * u.clone()).times(2) + d.clone() - r.clone(),
        );
        let c_low = d.times(2) - V::int(1) - r - c_high.times(1 << 16);
        sink.range("u0", u0);
        sink.range("u1", u1);
        sink.range("r0", r_low);
        sink.range("r1", r_high);
        sink.range("2 D - 1 - r - 2^16 c1", c_low);
        sink.range("c1", c_high);

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

        let x = g * g - v;
        let (xh, xl) = (x >> 15, x & 0x7fff);
        let limb = limbs("Xh", xh, 1 << 46, 1 << 47)?;
        row.put(limb & 0xffff);
        row.put((limb >> 16) & 0x7fff);
        row.put(limb >> 31);
        row.put(xl);
        let vn = v + c2 * xh + ((c2 * xl + (1 << 14)) >> 15);
        row.put(vn);

        let root = i64::try_from(u64::try_from(vn).unwrap_or(0).isqrt()).unwrap_or(0);
        let a = vn - root * root;
        let b = 2 * root - a;
        row.put(root);
        row.put(a & 0xffff);
        row.put(a >> 16);
        row.put(b >> 16);

        let d = root + eps;
        let y = 2 * lr * mh + d;
        let u = y.div_euclid(2 * d);
        let r = y - 2 * d * u;
        let limb = limbs("U", u, 1 << 31, 1 << 32)?;
        let c = 2 * d - 1 - r;
        row.put(limb & 0xffff);
        row.put(limb >> 16);
        row.put(r & 0xffff);
        row.put(r >> 16);
        row.put(c >> 16);

        let taken = decay::fill(segment, periodic, w, row)?;
        Ok(if active == 0 { [w - u - taken, m, v] } else { [w - u - taken, mn, vn] })
    }
}
