//! A rule for the tests alone: what one more rule touches is this file, its row in
//! [`crate::rules`], and its line in `lib.rs`.
//!
//! ```text
//! U  = LR G,   U = u0 + 2^16 u1 - 2^31,   LR <= 1
//! W' = W - U - R
//! ```

use crate::constants::{PERIODIC, Periodic, StepConstants};
use crate::row::{OutOfRange, State, Writer, limbs};
use crate::rule::{Bounded, RuleError, Update};
use crate::segment::Segment;
use crate::sink::{Columns, Sink, Value};
use crate::{decay, gradient};

/// Descent by the gradient itself.
pub enum Toy {}

impl Update for Toy {
    const STATES: &'static [&'static str] = &["W"];
    const SHIFTS: &'static [u32] = &[];

    /// LR, D.
    fn step([lr, decay, ..]: [i64; 5], _s: u32) -> Result<StepConstants, RuleError> {
        Ok(StepConstants { lr, decay, ..StepConstants::default() })
    }

    fn is_no_op(step: &StepConstants) -> Result<bool, RuleError> {
        Ok(step.lr == 0)
    }

    fn ranges(step: &StepConstants, no_op: bool) -> Vec<Bounded> {
        vec![("LR", step.lr, 0..=i64::from(!no_op))]
    }

    fn coefficients(_step: &StepConstants) -> (i64, i64) {
        (0, 0)
    }

    fn periodic(step: &StepConstants, no_op: bool) -> [i64; PERIODIC] {
        [i64::from(!no_op), step.lr, 0, step.decay]
    }

    fn columns(_segment: &Segment) -> Vec<&'static str> {
        vec!["W", "u0", "u1"]
    }

    fn relations<V: Value, S: Sink<V>>(segment: &Segment, columns: &[V], periodic: &Periodic<V>, sink: &mut S) {
        let mut c = Columns::new(columns);
        let (w, u0, u1) = (c.take(), c.take(), c.take());
        let decayed = decay::relations(segment, &w, &mut c, periodic, sink);
        let (g0, g1) = (c.take(), c.take());
        let g = gradient::relations(&g0, &g1, periodic, sink);
        let u = u0.clone() + u1.times(1 << 16) - V::int(1 << 31);
        sink.zero("U = LR G", periodic.lr.clone() * g - u.clone());
        sink.range("u0", u0);
        sink.range("u1", u1);
        sink.next(0, w - u - decayed);
    }

    fn fill(
        segment: &Segment,
        periodic: &[i64; PERIODIC],
        [w, ..]: State,
        g: i64,
        row: &mut Writer<'_>,
    ) -> Result<State, OutOfRange> {
        let u = periodic[1] * g;
        let limb = limbs("U", u, 1 << 31, 1 << 32)?;
        row.put(w);
        row.put(limb & 0xffff);
        row.put(limb >> 16);
        let taken = decay::fill(segment, periodic, w, row)?;
        Ok([w - u - taken, 0, 0])
    }
}

#[cfg(test)]
mod tests {
    use p3_field::{PrimeCharacteristicRing, PrimeField64};

    use super::*;
    use crate::describe::text;
    use crate::field::{Val, from_signed};
    use crate::relations::{Air, Variant, evaluate};
    use crate::rules::Rule;
    use crate::sink::Collected;
    use crate::trace::fill_row;

    fn holds(air: &Air, periodic: &[i64; PERIODIC], row: &[Val]) -> (bool, Vec<Val>) {
        let mut all = Collected::default();
        evaluate(air, row, &Periodic::from_array(periodic.map(from_signed)), &mut all);
        let zeros = all.zeros.iter().all(|value| *value == Val::ZERO);
        (zeros && all.ranges.iter().all(|value| value.as_canonical_u64() < 1 << 16), all.nexts)
    }

    #[test]
    fn one_more_rule_is_stepped_described_and_judged_like_the_others() {
        let rule = Rule::parse("toy").unwrap();
        assert_eq!((rule, rule.states()), (Rule::Toy, &["W"][..]));
        for decay in [false, true] {
            let variant = Variant { rule, s: 7, decay, weights_in_range: true };
            let steps = [1, 0].map(|lr| rule.step([lr, i64::from(decay && lr == 1) << 20, 0, 0, 0], 7).unwrap());
            let (air, constants) = Air::new(&variant, &steps).unwrap();
            let mut row = vec![Val::ZERO; air.columns().len()];
            for (periodic, gradient) in constants.periodic.iter().zip([-54_321, 0]) {
                let after = fill_row(&air, periodic, [1 << 40, 0, 0], gradient, &mut row).unwrap();
                assert_eq!(holds(&air, periodic, &row), (true, vec![from_signed(after[0])]));
                for cell in 1..row.len() {
                    let mut other = row.clone();
                    other[cell] += Val::ONE;
                    assert!(!holds(&air, periodic, &other).0, "{}", air.columns()[cell]);
                }
            }
            assert!(text(&air).starts_with("air toy s=0"));
            let text = text(&air);
            assert!(text.contains("columns W u0 u1 h0 h1") && text.contains("next W = "), "{text}");
            // What its row says of its constants is asked.
            for (lr, known) in [(1, true), (2, false), (-1, false)] {
                assert_eq!(Air::new(&variant, &[rule.step([lr, 0, 0, 0, 0], 7).unwrap()]).is_ok(), known, "{lr}");
            }
        }
    }
}
