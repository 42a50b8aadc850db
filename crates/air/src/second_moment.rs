//! The second moment, its root, and the quotient by that: Adam's and RMSprop's.
//!
//! ```text
//! G G - V = xl + 2^15 Xh,     Xh = x0 + 2^16 x1 + 2^31 x2 - 2^46
//! c2 xl + 2^14 = 2^15 q + rho                      0 <= xl, rho < 2^15
//! V*  = V + c2 Xh + q = S S + a                    0 <= a <= 2 S
//! 2 LR N + D = 2 D U + r,     D = S + E            0 <= r < 2 D
//! ```
//!
//! N, the numerator, is Adam's Mh, or RMSprop's G.
//!
//! # Why there is one solution
//!
//! Given `|G| <= 2^30 + 2^15`, `|N| <= 2^30 + 2^15` and `0 <= V <= B` with `B = (2^30 + 2^15)^2`, all of them integers; what a
//! lookup shows is said in [`crate::adam`].
//!
//! * **Xh, xl**. `|Xh| <= 2^46 + 2^33`; `|G G - V - 2^15 Xh| < 2^62 + 2^50`, doubled below p. So `xl` is the remainder and `Xh` the floor.
//!   Without limbs of Xh, `xl +- 1` would move it by a fraction.
//! * **q**. `a1 + b1 + q + 1` is looked up, and so are `a1` and `b1`: `-2^17 < q < 2^16`. Then `|c2 xl + 2^14 - 2^15 q| < 2^33`: rho and q
//!   are the remainder and the quotient, and `0 <= q <= 2^15`. `V*` is, as an integer, `V + floor((c2 X + 2^14) / 2^15)`, a rounded
//!   mean of `V` and `G G`: `0 <= V* <= B`.
//! * **S**. `a = a0 + 2^16 a1` and `b = b0 + 2^16 b1` are in `0 .. 2^32`, and `b = 2 S - a`. Let `v = a + b`, so `2 S = v` modulo p. From
//!   `a1 + b1 <= 65534 - q` follows `v <= 2^32 - 2`. `4 V* = v v + 4 a - k p`; the size of the terms leaves `k` in {0, 1}. For k = 1, modulo 4,
//!   `v` is odd, hence `v <= 2^32 - 3`, `v v <= p - 5 * 2^32 + 8`, and `4 a >= 5 * 2^32 - 8`, but `a < 2^32`: impossible. For k = 0 `v` is
//!   even: S is an integer, `S S <= V* <= S S + 2 S`, and so S is the floor of the root; `S <= 2^30 + 2^15`.
//! * **U**. `|2 LR N| < 2^61 + 2^47`, `D < 2^30 + 2^29 + 2^15`, `|U| <= 2^31`: the line's two sides differ by less than 2^63 + 2^50 < p, so it
//!   holds over the integers. `r` and `2 D - 1 - r` are in `0 .. 2^32`, so U is the nearest integer, halves up.

use crate::constants::Periodic;
use crate::row::{OutOfRange, Writer, limbs};
use crate::segment::Segment;
use crate::sink::{Columns, Sink, Value};

/// The columns, in their order.
pub(crate) const COLUMNS: [&str; 14] =
    ["x0", "x1", "x2", "xl", "V*", "S", "a0", "a1", "b1", "u0", "u1", "r0", "r1", "c1"];

/// The columns of a row.
pub(crate) struct Taken<V>([V; COLUMNS.len()]);

impl<V: Value> Taken<V> {
    /// Reads them.
    #[inline]
    pub(crate) fn take(columns: &mut Columns<'_, V>) -> Self {
        Self(core::array::from_fn(|_| columns.take()))
    }

    /// The relations, with the line of the quotient called `line`: U and V*.
    #[inline]
    pub(crate) fn relations<S: Sink<V>>(
        self,
        segment: &Segment,
        (g, v, numerator): (V, &V, V),
        periodic: &Periodic<V>,
        line: &'static str,
        sink: &mut S,
    ) -> (V, V) {
        let [x0, x1, x2, xl, vn, s, a0, a1, b1, u0, u1, r_low, r_high, c_high] = self.0;
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
        sink.zero(line, (periodic.lr.clone() * numerator - d.clone() * u.clone()).times(2) + d.clone() - r.clone());
        let c_low = d.times(2) - V::int(1) - r - c_high.times(1 << 16);
        sink.range("u0", u0);
        sink.range("u1", u1);
        sink.range("r0", r_low);
        sink.range("r1", r_high);
        sink.range("2 D - 1 - r - 2^16 c1", c_low);
        sink.range("c1", c_high);
        (u, vn)
    }
}

/// Writes the columns: U and V*. V and G are in their ranges, and the numerator in G's.
pub(crate) fn fill(
    c2: i64,
    (lr, eps): (i64, i64),
    (g, v, numerator): (i64, i64, i64),
    row: &mut Writer<'_>,
) -> Result<(i64, i64), OutOfRange> {
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
    let y = 2 * lr * numerator + d;
    let u = y.div_euclid(2 * d);
    let r = y - 2 * d * u;
    let limb = limbs("U", u, 1 << 31, 1 << 32)?;
    let c = 2 * d - 1 - r;
    row.put(limb & 0xffff);
    row.put(limb >> 16);
    row.put(r & 0xffff);
    row.put(r >> 16);
    row.put(c >> 16);
    Ok((u, vn))
}
