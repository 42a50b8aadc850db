//! The sign of an integer: `sg = sign(C)`, one of -1, 0 and 1.
//!
//! ```text
//! sg + 1 and 32767 (sg + 1) in 0 .. 2^16
//! C  = sg (K + 1),   K = k0 + 2^16 k1 + 2^32 k2 + 2^48 k3          0 <= k3 < 2^15
//! ```
//!
//! # Why there is one solution
//!
//! `sg + 1` is looked up: it is an integer below 2^16, `32767 (sg + 1)` doesn't wrap, and as it is below 2^16, too, `sg + 1` is 0, 1 or 2. C is an integer with `|C| < 2^62`, as the rule shows. The limbs are
//! looked up, and k3, a column, as itself and doubled: K is an integer with `1 <= K + 1 <= 2^63`. So `|C - sg (K + 1)| < 2^63 + 2^62 < p`,
//! and the line holds over the integers: sg = 1 says `C >= 1`, sg = -1 says `C <= -1`, and sg = 0 says `C = 0`. Exactly one of them is so.
//! Without the upper limb's range `C = -1` had the sign 1, too: K = p - 2 has four limbs of 16 bits. Where sg is 0, any K passes; nothing
//! else reads it.

use crate::row::{OutOfRange, Writer, limbs};
use crate::sink::{Columns, Sink, Value};

/// The columns, in their order.
pub(crate) const COLUMNS: [&str; 5] = ["sg", "k0", "k1", "k2", "k3"];

/// The columns of a row.
pub(crate) struct Taken<V>([V; COLUMNS.len()]);

impl<V: Value> Taken<V> {
    /// Reads them.
    #[inline]
    pub(crate) fn take(columns: &mut Columns<'_, V>) -> Self {
        Self(core::array::from_fn(|_| columns.take()))
    }

    /// The relations of the sign of `c`, which they give.
    #[inline]
    pub(crate) fn relations<S: Sink<V>>(self, c: V, sink: &mut S) -> V {
        let [sg, k0, k1, k2, k3] = self.0;
        let raised = sg.clone() + V::int(1);
        sink.range("32767 (sg + 1)", raised.times(32_767));
        sink.range("sg + 1", raised);
        let more = k0.clone() + k1.times(1 << 16) + k2.times(1 << 32) + k3.times(1 << 48) + V::int(1);
        sink.zero("C = sg (K + 1)", sg.clone() * more - c);
        sink.range("k0", k0);
        sink.range("k1", k1);
        sink.range("k2", k2);
        sink.range("k3", k3.clone());
        sink.range("2 k3", k3.times(2));
        sg
    }
}

/// Writes the columns: the sign of `c`.
pub(crate) fn fill(c: i64, row: &mut Writer<'_>) -> Result<i64, OutOfRange> {
    limbs("C", c, 1 << 61, 1 << 62)?;
    let sign = c.signum();
    let k = if c == 0 { 0 } else { c.abs() - 1 };
    row.put(sign);
    for shift in [0, 16, 32, 48] {
        row.put((k >> shift) & 0xffff);
    }
    Ok(sign)
}
