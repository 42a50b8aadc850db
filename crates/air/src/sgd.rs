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

use crate::adam::gradient;
use crate::constants::Periodic;
use crate::decay;
use crate::relations::{Columns, Sink, Value};
use crate::rule::{Air, Rule};

/// The columns, without the gradient's: states, then limbs and remainders.
#[must_use]
pub fn columns(air: &Air) -> Vec<&'static str> {
    let mut names = air.rule().states().to_vec();
    if air.rule() != Rule::Sgd {
        names.extend(["b0", "b1"]);
    }
    if air.rule() == Rule::SgdNesterov {
        names.extend(["n0", "n1"]);
    }
    names.extend(["u0", "u1", "e0"]);
    if air.s() == 30 {
        names.push("e1");
    }
    names
}

/// The relations of one row.
#[inline]
pub fn relations<V: Value, S: Sink<V>>(air: &Air, columns: &[V], periodic: &Periodic<V>, sink: &mut S) {
    let mut c = Columns::new(columns);
    let momentum = air.rule() != Rule::Sgd;
    let nesterov = air.rule() == Rule::SgdNesterov;
    let w = c.take();
    let b = momentum.then(|| c.take());
    let next_limbs = momentum.then(|| (c.take(), c.take()));
    let argument_limbs = nesterov.then(|| (c.take(), c.take()));
    let (u0, u1, e0) = (c.take(), c.take(), c.take());
    let e1 = (air.s() == 30).then(|| c.take());
    let decayed = decay::relations(air, &w, &mut c, periodic, sink);
    let (g0, g1) = (c.take(), c.take());

    let g = gradient(&g0, &g1, periodic, sink);
    let mut argument = g.clone();
    let mut next = None;
    if let (Some(b), Some((b0, b1))) = (b, next_limbs) {
        let bn = b0.clone() + b1.times(1 << 15) - V::int(1 << 30);
        let remainder = b.times(air.first()) + V::int(1 << 14) - (bn.clone() - g.clone()).times(1 << 15);
        sink.range("b0", b0);
        sink.range("b1", b1);
        sink.range("2 (mu B + 2^14 - 2^15 (B* - G))", remainder.times(2));
        argument = bn.clone();
        if let Some((n0, n1)) = argument_limbs {
            argument = n0.clone() + n1.times(1 << 16) - V::int(1 << 31);
            let remainder = bn.times(air.first()) + V::int(1 << 14) - (argument.clone() - g).times(1 << 15);
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
        periodic.lr.clone() * argument + V::int(1 << (air.s() - 1)) - u.times(1 << air.s()) - e,
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
