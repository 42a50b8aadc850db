//! The weight's limbs, and decoupled decay.
//!
//! ```text
//! W   = wl + 2^15 Wh,   Wh = h0 + 2^15 h1 - 2^30          0 <= wl < 2^15
//! D Wh + 2^14 = 2^15 R + rr                               0 <= rr < 2^15
//! R   = d0 + 2^16 d1 + 2^28 d2 - 2^43
//! ```
//!
//! W is an integer: the first state's is shown to be in range in the first segment, and every step adds integers below 2^45. So `2 wl`, an
//! expression, is looked up alone (|W| + 2^46 < 2^62), and the limbs show `-2^45 <= W < 2^45 + 2^31`. `|D Wh| < 2^59` and
//! `|2^15 R| < 2^60`: `2 rr` doesn't wrap, and as R is an integer by its limbs, rr is one, although it is a column. `|R| <= 2^28 * 2^30 / 2^15`
//! fits the limbs. In the first segment, where nothing is known of W yet, the lookup of `2 wl` alone leaves `2 W` an integer: W might be
//! a half integer modulo p. There W's low limb is looked up too.

use crate::constants::{PERIODIC, Periodic};
use crate::row::{OutOfRange, Writer, limbs};
use crate::segment::Segment;
use crate::sink::{Columns, Sink, Value};

/// The limbs of the weight's upper part.
const LIMBS: [&str; 2] = ["h0", "h1"];

/// The limbs of the decay, and its remainder.
const DECAY: [&str; 4] = ["d0", "d1", "d2", "rr"];

/// The columns that a segment's rows have.
#[must_use]
pub fn columns(segment: &Segment) -> Vec<&'static str> {
    let mut names = Vec::new();
    if segment.weight_limbs() {
        names.extend(LIMBS);
    }
    if segment.decay {
        names.extend(DECAY);
    }
    names
}

/// The relations of the columns that the row has; what is taken from the weight.
#[inline]
pub(crate) fn relations<V: Value, S: Sink<V>>(
    segment: &Segment,
    w: &V,
    columns: &mut Columns<'_, V>,
    periodic: &Periodic<V>,
    sink: &mut S,
) -> V {
    if !segment.weight_limbs() {
        return V::int(0);
    }
    let (h0, h1) = (columns.take(), columns.take());
    let wh = h0.clone() + h1.times(1 << 15) - V::int(1 << 30);
    let wl = w.clone() - wh.times(1 << 15);
    sink.range("h0", h0);
    sink.range("h1", h1);
    sink.range("2 (W - 2^15 Wh)", wl.times(2));
    if segment.weights_in_range {
        sink.range("W - 2^15 Wh", wl);
    }
    if !segment.decay {
        return V::int(0);
    }
    let (d0, d1, d2, rr) = (columns.take(), columns.take(), columns.take(), columns.take());
    let r = d0.clone() + d1.times(1 << 16) + d2.times(1 << 28) - V::int(1 << 43);
    sink.zero(
        "D Wh + 2^14 = 2^15 R + rr",
        periodic.decay.clone() * wh + V::int(1 << 14) - r.times(1 << 15) - rr.clone(),
    );
    sink.range("d0", d0);
    sink.range("d1", d1);
    sink.range("d2", d2);
    sink.range("2 rr", rr.times(2));
    r
}

/// Writes the columns; what is taken from the weight.
pub(crate) fn fill(
    segment: &Segment,
    periodic: &[i64; PERIODIC],
    w: i64,
    row: &mut Writer<'_>,
) -> Result<i64, OutOfRange> {
    // |W| stays far from the field's edge without limbs too: 2^31 a step.
    limbs("W", w, 1 << 61, 1 << 62)?;
    if !segment.weight_limbs() {
        return Ok(0);
    }
    let wh = w >> 15;
    let limb = limbs("W", wh, 1 << 30, 1 << 31)?;
    row.put(limb & 0x7fff);
    row.put(limb >> 15);
    if !segment.decay {
        return Ok(0);
    }
    let y = periodic[3] * wh + (1 << 14);
    let r = y >> 15;
    let limb = u64::try_from(limbs("R", r, 1 << 43, 1 << 44)?).unwrap_or(0);
    row.put_limb(limb & 0xffff);
    row.put_limb((limb >> 16) & 0xfff);
    row.put_limb(limb >> 28);
    row.put(y & 0x7fff);
    Ok(r)
}
