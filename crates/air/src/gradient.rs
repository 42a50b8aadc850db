//! The gradient's two limbs, which are committed apart from a rule's columns: `G = g0 + 2^15 g1 -
//! 2^30`.

use crate::constants::Periodic;
use crate::row::{OutOfRange, Writer, limbs};
use crate::sink::{Sink, Value};

/// The columns of the gradient.
pub const COLUMNS: [&str; 2] = ["g0", "g1"];

/// The gradient from its limbs, which are looked up; zero in a no-op step.
#[inline]
pub(crate) fn relations<V: Value, S: Sink<V>>(g0: &V, g1: &V, periodic: &Periodic<V>, sink: &mut S) -> V {
    let g = g0.clone() + g1.times(1 << 15) - V::int(1 << 30);
    sink.range("g0", g0.clone());
    sink.range("g1", g1.clone());
    sink.zero("G = 0 in a no-op step", (V::int(1) - periodic.active.clone()) * g.clone());
    g
}

/// Writes the columns.
pub(crate) fn fill(gradient: i64, row: &mut Writer<'_>) -> Result<(), OutOfRange> {
    let g = limbs("G", gradient, 1 << 30, 1 << 31)?;
    row.put(g & 0x7fff);
    row.put(g >> 15);
    Ok(())
}
