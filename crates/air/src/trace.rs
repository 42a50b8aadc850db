//! The columns of a row from a state and a gradient, in integers: what an honest prover writes down.

use p3_field::PrimeCharacteristicRing;

use crate::constants::PERIODIC;
use crate::field::{Val, from_signed};
use crate::rule::{Air, Rule};

/// A quantity that leaves the range that the columns can hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OutOfRange {
    /// The quantity, as the rules document names it.
    pub quantity: &'static str,
    /// Its value.
    pub value: i64,
}

/// The parts of a state, in the order of [`Rule::states`]; what a rule doesn't have is 0.
pub type State = [i64; 3];

/// Writes the columns of one row, the gradient's last, and gives the state after it. `periodic` is the step's entry of
/// [`crate::constants::SegmentConstants`]; the state is expected in the range that the rules document gives.
///
/// # Errors
/// If a quantity of the step has no columns that stand for it.
///
/// # Panics
/// If `row` is not as long as [`Air::columns`].
pub fn fill_row(
    air: &Air,
    periodic: &[i64; PERIODIC],
    state: State,
    gradient: i64,
    row: &mut [Val],
) -> Result<State, OutOfRange> {
    let mut out = Writer { row, next: 0 };
    let after = match air.rule() {
        Rule::Adam | Rule::AdamW => adam(air, periodic, state, gradient, &mut out)?,
        Rule::Sgd | Rule::SgdMomentum | Rule::SgdNesterov => sgd(air, periodic, state, gradient, &mut out)?,
    };
    let g = limbs("G", gradient, 1 << 30, 1 << 31)?;
    out.put(g & 0x7fff);
    out.put(g >> 15);
    assert_eq!(out.next, out.row.len(), "a row of another description");
    Ok(after)
}

struct Writer<'a> {
    row: &'a mut [Val],
    next: usize,
}

impl Writer<'_> {
    #[inline]
    fn put(&mut self, value: i64) {
        self.row[self.next] = from_signed(value);
        self.next += 1;
    }

    #[inline]
    fn put_limb(&mut self, value: u64) {
        self.row[self.next] = Val::from_u64(value);
        self.next += 1;
    }
}

/// `value + offset`, which must lie in `0 .. bound`.
#[inline]
fn limbs(quantity: &'static str, value: i64, offset: i64, bound: i64) -> Result<i64, OutOfRange> {
    let shifted = value.wrapping_add(offset);
    if (0..bound).contains(&shifted) { Ok(shifted) } else { Err(OutOfRange { quantity, value }) }
}

fn adam(
    air: &Air,
    periodic: &[i64; PERIODIC],
    state: State,
    g: i64,
    out: &mut Writer<'_>,
) -> Result<State, OutOfRange> {
    let [active, lr, eps, _] = *periodic;
    let [w, m, v] = state;
    let (c1, c2) = (air.first(), air.second());
    limbs("G", g, 1 << 30, 1 << 31)?;
    limbs("M", m, 1 << 45, 1 << 46)?;
    limbs("V", v, 0, (1 << 60) + 1)?;
    out.put(w);
    out.put(m);
    out.put(v);

    let mn = m + ((c1 * ((g << 15) - m) + (1 << 14)) >> 15);
    let rounded = mn + (1 << 14);
    let mh = rounded >> 15;
    let limb = limbs("Mh", mh, 1 << 30, 1 << 31)?;
    out.put(limb & 0x7fff);
    out.put(limb >> 15);
    out.put(rounded & 0x7fff);

    let x = g * g - v;
    let (xh, xl) = (x >> 15, x & 0x7fff);
    let limb = limbs("Xh", xh, 1 << 46, 1 << 47)?;
    out.put(limb & 0xffff);
    out.put((limb >> 16) & 0x7fff);
    out.put(limb >> 31);
    out.put(xl);
    let vn = v + c2 * xh + ((c2 * xl + (1 << 14)) >> 15);
    out.put(vn);

    let root = i64::try_from(u64::try_from(vn).unwrap_or(0).isqrt()).unwrap_or(0);
    let a = vn - root * root;
    let b = 2 * root - a;
    out.put(root);
    out.put(a & 0xffff);
    out.put(a >> 16);
    out.put(b >> 16);

    let d = root + eps;
    let y = 2 * lr * mh + d;
    let u = y.div_euclid(2 * d);
    let r = y - 2 * d * u;
    let limb = limbs("U", u, 1 << 31, 1 << 32)?;
    let c = 2 * d - 1 - r;
    out.put(limb & 0xffff);
    out.put(limb >> 16);
    out.put(r & 0xffff);
    out.put(r >> 16);
    out.put(c >> 16);

    let taken = decay(air, periodic, w, out)?;
    Ok(if active == 0 { [w - u - taken, m, v] } else { [w - u - taken, mn, vn] })
}

fn sgd(air: &Air, periodic: &[i64; PERIODIC], state: State, g: i64, out: &mut Writer<'_>) -> Result<State, OutOfRange> {
    let [active, lr, _, _] = *periodic;
    let [w, b, _] = state;
    let mu = air.first();
    limbs("G", g, 1 << 30, 1 << 31)?;
    out.put(w);
    let mut argument = g;
    let mut next = 0;
    if air.rule() != Rule::Sgd {
        limbs("B", b, 1 << 30, 1 << 31)?;
        out.put(b);
        let bn = ((mu * b + (1 << 14)) >> 15) + g;
        let limb = limbs("B'", bn, 1 << 30, 1 << 31)?;
        out.put(limb & 0x7fff);
        out.put(limb >> 15);
        argument = bn;
        if air.rule() == Rule::SgdNesterov {
            argument = ((mu * bn + (1 << 14)) >> 15) + g;
            let limb = limbs("A", argument, 1 << 31, 1 << 32)?;
            out.put(limb & 0xffff);
            out.put(limb >> 16);
        }
        next = if active == 0 { b } else { bn };
    }
    let s = air.s();
    let y = lr * argument + (1 << (s - 1));
    let u = y >> s;
    let e = y & ((1 << s) - 1);
    let limb = limbs("U", u, 1 << 31, 1 << 32)?;
    out.put(limb & 0xffff);
    out.put(limb >> 16);
    out.put(e & 0x7fff);
    if s == 30 {
        out.put(e >> 15);
    }
    let taken = decay(air, periodic, w, out)?;
    Ok([w - u - taken, next, 0])
}

fn decay(air: &Air, periodic: &[i64; PERIODIC], w: i64, out: &mut Writer<'_>) -> Result<i64, OutOfRange> {
    // |W| stays far from the field's edge without limbs too: 2^31 a step.
    limbs("W", w, 1 << 61, 1 << 62)?;
    if !air.weight_limbs() {
        return Ok(0);
    }
    let wh = w >> 15;
    let limb = limbs("W", wh, 1 << 30, 1 << 31)?;
    out.put(limb & 0x7fff);
    out.put(limb >> 15);
    if !air.decay() {
        return Ok(0);
    }
    let y = periodic[3] * wh + (1 << 14);
    let r = y >> 15;
    let limb = u64::try_from(limbs("R", r, 1 << 43, 1 << 44)?).unwrap_or(0);
    out.put_limb(limb & 0xffff);
    out.put_limb((limb >> 16) & 0xfff);
    out.put_limb(limb >> 28);
    out.put(y & 0x7fff);
    Ok(r)
}
