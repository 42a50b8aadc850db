//! Every solution that a row of the relations has for a state and a gradient, found without the prover's help.
//!
//! The relations are stated here once more, as what their lookups let pass: a remainder that is looked up doubled is any half of
//! `0 .. 2^16` modulo p, a quotient whatever the field then gives, if limbs can stand for it. So a line `x = 2^15 q + r` is solved by
//! running through all 2^16 values of the table, the square root and the division by D by all wraps of p that the sizes of their terms
//! allow. Each solution is then held against the relations themselves.

use p3_field::{Field, PrimeCharacteristicRing, PrimeField64};
use zk_autograd_air::constants::PERIODIC;
use zk_autograd_air::field::{ORDER, from_signed, to_signed};
use zk_autograd_air::{Air, Collected, Periodic, Rule, Val, Variant, evaluate};

use crate::support::no_op;

const TABLE: u64 = 1 << 16;
const P: i128 = ORDER as i128;

/// All rows, gradient included, that the relations accept for this state and gradient.
pub fn rows(air: &Air, periodic: &[i64; PERIODIC], state: &[Val], gradient: i64) -> Vec<Vec<Val>> {
    let g = from_signed(gradient);
    let partial = match air.rule() {
        Rule::Adam | Rule::AdamW => adam(air, periodic, state, g),
        Rule::Lion => lion(air, state, g),
        Rule::Rmsprop => {
            let [w, v, ..] = *state else { unreachable!("W and V") };
            divided(air, periodic, v, g).into_iter().flat_map(|second| second.quotients(&[w, v], g)).collect()
        }
        _ => sgd(air, periodic, &state[..air.rule().states().len()], g),
    };
    let mut rows: Vec<Vec<Val>> = partial.into_iter().flat_map(|row| decays(air, periodic, state[0], row)).collect();
    let limbs = pair(from_signed(gradient) + int(1 << 30), 15).expect("a gradient with limbs");
    for row in &mut rows {
        row.extend(limbs);
    }
    rows
}

/// The states after the row, or None if the relations refuse it.
pub fn accepted(air: &Air, periodic: &[i64; PERIODIC], row: &[Val]) -> Option<Vec<Val>> {
    let relations = relations(air, periodic, row);
    let holds = relations.zeros.iter().all(|zero| *zero == Val::ZERO)
        && relations.ranges.iter().all(|value| value.as_canonical_u64() < TABLE);
    holds.then_some(relations.nexts)
}

/// The relations of a row.
pub fn relations(air: &Air, periodic: &[i64; PERIODIC], row: &[Val]) -> Collected<Val> {
    let mut relations = Collected::default();
    evaluate(air, row, &Periodic::from_array(periodic.map(from_signed)), &mut relations);
    relations
}

/// The quotients and remainders of `value = 2^15 quotient + remainder`, with `2 remainder` in the table.
fn divisions(value: Val) -> impl Iterator<Item = (Val, Val)> {
    let inverse = int(1 << 15).inverse();
    (0..TABLE).map(move |doubled| {
        let remainder = Val::from_u64(doubled).halve();
        ((value - remainder) * inverse, remainder)
    })
}

fn adam(air: &Air, periodic: &[i64; PERIODIC], state: &[Val], g: Val) -> Vec<Vec<Val>> {
    let (w, m, v) = (state[0], state[1], state[2]);
    let c1 = int(air.segment().first);
    let mut rows = Vec::new();
    let moments: Vec<(Val, [Val; 3])> = divisions(c1 * (g * int(1 << 15) - m) + int(1 << 14))
        .filter_map(|(change, _)| {
            // m0 + 2^15 m1 - 2^30 is Mh, r2 its remainder: a column, and so an integer below 2^15.
            let shifted = (m + change + int((1 << 14) + (1 << 45))).as_canonical_u64();
            let limbs = pair(Val::from_u64(shifted >> 15), 15)?;
            let mh = limbs[0] + limbs[1] * int(1 << 15) - int(1 << 30);
            Some((mh, [limbs[0], limbs[1], Val::from_u64(shifted & 0x7fff)]))
        })
        .collect();
    for second in divided(air, periodic, v, g) {
        for (mh, moment) in &moments {
            rows.extend(second.quotients(&joined(&[w, m, v], moment), *mh));
        }
    }
    rows
}

/// A solution of the second moment's relations up to its root.
struct Second {
    columns: Vec<Val>,
    lr: Val,
    divisor: Val,
}

impl Second {
    /// The rows that begin with `front`, for every quotient by the root.
    fn quotients(&self, front: &[Val], numerator: Val) -> Vec<Vec<Val>> {
        quotients(self.lr * numerator, self.divisor)
            .into_iter()
            .map(|division| [front, &self.columns, &division].concat())
            .collect()
    }
}

/// x0 x1 x2 xl V* S a0 a1 b1.
fn divided(air: &Air, periodic: &[i64; PERIODIC], v: Val, g: Val) -> Vec<Second> {
    let [_, lr, eps, _] = periodic.map(from_signed);
    let c2 = int(air.segment().second);
    let mut found = Vec::new();
    for (xh, xl) in divisions(g * g - v) {
        let Some(x) = triple(xh + int(1 << 46), 31) else { continue };
        for (q, _) in divisions(c2 * xl + int(1 << 14)) {
            let q_int = to_signed(q);
            if !(-(1 << 17)..1 << 17).contains(&q_int) {
                continue;
            }
            let vn = v + c2 * xh + q;
            for (s, root) in roots(vn, q_int) {
                found.push(Second { columns: [&x[..], &[xl, vn, s], &root].concat(), lr, divisor: s + eps });
            }
        }
    }
    found
}

/// Lion's rows: m0 m1 m2 sg k0 k1 k2 k3. Where C is 0 any K passes: the smallest, and two others, stand for them all.
fn lion(air: &Air, state: &[Val], g: Val) -> Vec<Vec<Val>> {
    let [w, m, ..] = *state else { unreachable!("W and M") };
    let (c1, c2) = (int(air.segment().first), int(air.segment().second));
    let x = g * int(1 << 15) - m;
    let signs = signs(c1 * x + m * int(1 << 15));
    divisions(c2 * x + int(1 << 14))
        .filter_map(|(change, _)| triple(m + change + int(1 << 45), 30))
        .flat_map(|moment| signs.iter().map(move |sign| [&[w, m], &moment[..], sign].concat()))
        .collect()
}

/// All sg with `sg + 1` and `32767 (sg + 1)` in the table, and the four limbs of K with `C = sg (K + 1)`, the uppermost of 15 bits.
pub fn signs(c: Val) -> Vec<[Val; 5]> {
    let mut found = Vec::new();
    for raised in (0..TABLE).filter(|raised| (Val::from_u64(*raised) * int(32_767)).as_canonical_u64() < TABLE) {
        let sign = Val::from_u64(raised) - Val::ONE;
        let sizes: Vec<u128> = if sign != Val::ZERO {
            let size = (c * sign.inverse() - Val::ONE).as_canonical_u64();
            [0, ORDER].into_iter().map(|wrap| u128::from(size) + u128::from(wrap)).collect()
        } else if c == Val::ZERO {
            vec![0, 1, (1 << 63) - 1]
        } else {
            Vec::new()
        };
        found.extend(sizes.into_iter().filter(|size| *size < 1 << 63).map(|size| {
            let limb = |shift: u32| Val::from_u64(u64::try_from((size >> shift) & 0xffff).expect("16 bits"));
            [sign, limb(0), limb(16), limb(32), limb(48)]
        }));
    }
    found
}

/// All S with `vn = S S + a`, where a and 2 S - a have 32 bits and their upper limbs add up to less than 2^16 - q: S, and a0 a1 b1.
pub fn roots(vn: Val, q: i64) -> Vec<(Val, [Val; 3])> {
    let target = i128::from(vn.double().double().as_canonical_u64());
    let mut found = Vec::new();
    for k in 0..5 {
        // v v + 4 a = target + k p, with v = a + b.
        let sum = target + k * P;
        let least = (sum - 4 * ((1 << 32) - 1)).max(0);
        let from = i128::try_from(u128::try_from(least).unwrap().isqrt()).unwrap();
        for v in from.. {
            let rest = sum - v * v;
            if rest < 0 {
                break;
            }
            let a = rest / 4;
            let b = v - a;
            if rest % 4 != 0 || a >= 1 << 32 || !(0..1 << 32).contains(&b) {
                continue;
            }
            if !(0..1 << 16).contains(&((a >> 16) + (b >> 16) + i128::from(q) + 1)) {
                continue;
            }
            let s = wide(v).halve();
            found.push((s, [wide(a & 0xffff), wide(a >> 16), wide(b >> 16)]));
        }
    }
    found
}

/// All U and r with `2 y + D = 2 D U + r`, where r and 2 D - 1 - r have 32 bits: u0 u1 r0 r1 c1.
pub fn quotients(y: Val, d: Val) -> Vec<[Val; 5]> {
    let top = i128::from((d.double() - Val::ONE).as_canonical_u64());
    if top > 2 * ((1 << 32) - 1) {
        return Vec::new();
    }
    let divisor = top + 1;
    let (low, high) = ((top - ((1 << 32) - 1)).max(0), top.min((1 << 32) - 1));
    let line = i128::from((y.double() + d).as_canonical_u64());
    let mut found = Vec::new();
    for k in -4..4 {
        let sum = line + k * P;
        let from = (sum - high).div_euclid(divisor);
        for u in from..=from + 2 {
            let r = sum - divisor * u;
            if !(low..=high).contains(&r) {
                continue;
            }
            let Some([u0, u1]) = pair(wide(u) + int(1 << 31), 16) else { continue };
            let c = top - r;
            found.push([u0, u1, wide(r & 0xffff), wide(r >> 16), wide(c >> 16)]);
        }
    }
    found
}

fn sgd(air: &Air, periodic: &[i64; PERIODIC], row: &[Val], g: Val) -> Vec<Vec<Val>> {
    let lr = from_signed(periodic[1]);
    let mu = int(air.segment().first);
    let mut partial = vec![(row.to_vec(), g)];
    if air.rule() != Rule::Sgd {
        partial = divisions(mu * row[1] + int(1 << 14))
            .filter_map(|(q, _)| Some((joined(row, &pair(q + g + int(1 << 30), 15)?), q + g)))
            .collect();
    }
    if air.rule() == Rule::SgdNesterov {
        partial = partial
            .into_iter()
            .flat_map(|(row, b)| {
                divisions(mu * b + int(1 << 14))
                    .filter_map(|(q, _)| Some((joined(&row, &pair(q + g + int(1 << 31), 16)?), q + g)))
                    .collect::<Vec<_>>()
            })
            .collect();
    }
    partial.into_iter().flat_map(|(row, argument)| updates(air.segment().s, lr * argument, &row)).collect()
}

/// All U and e with `y + 2^(s-1) = 2^s U + e`: the row with u0 u1 e0, and e1 if s is 30.
fn updates(s: u32, y: Val, row: &[Val]) -> Vec<Vec<Val>> {
    if s == 15 {
        return divisions(y + int(1 << 14))
            .filter_map(|(u, e)| Some(joined(&joined(row, &pair(u + int(1 << 31), 16)?), &[e])))
            .collect();
    }
    // 2 e = v + 2^16 e1 has 31 bits, odd ones too: 2^31 U + 2 e = 2 y + 2^30 + k p.
    let line = i128::from((y.double() + int(1 << 30)).as_canonical_u64());
    (-3..3)
        .filter_map(|k| {
            let sum = line + k * P;
            let (u, doubled) = (sum.div_euclid(1 << 31), sum.rem_euclid(1 << 31));
            let limbs = pair(wide(u) + int(1 << 31), 16)?;
            Some(joined(&joined(row, &limbs), &[wide(doubled & 0xffff).halve(), wide(doubled >> 16)]))
        })
        .collect()
}

fn decays(air: &Air, periodic: &[i64; PERIODIC], w: Val, row: Vec<Val>) -> Vec<Vec<Val>> {
    if !air.segment().weight_limbs() {
        return vec![row];
    }
    let mut rows = Vec::new();
    for (wh, wl) in divisions(w) {
        let Some(limbs) = pair(wh + int(1 << 30), 15) else { continue };
        if air.segment().weights_in_range && wl.as_canonical_u64() >= TABLE {
            continue;
        }
        let with_limbs = joined(&row, &limbs);
        if !air.segment().decay {
            rows.push(with_limbs);
            continue;
        }
        for (r, rest) in divisions(from_signed(periodic[3]) * wh + int(1 << 14)) {
            if let Some(limbs) = triple(r + int(1 << 43), 28) {
                rows.push(joined(&joined(&with_limbs, &limbs), &[rest]));
            }
        }
    }
    rows
}

fn joined(row: &[Val], more: &[Val]) -> Vec<Val> {
    [row, more].concat()
}

/// `low + 2^shift high` in two limbs of 16 bits, if there are such.
pub fn pair(value: Val, shift: u32) -> Option<[Val; 2]> {
    let number = value.as_canonical_u64();
    let high = (number >> shift).min(TABLE - 1);
    let low = number - (high << shift);
    (low < TABLE).then(|| [low, high].map(Val::from_u64))
}

/// `low + 2^16 middle + 2^shift high` in three limbs of 16 bits, if there are such.
pub fn triple(value: Val, shift: u32) -> Option<[Val; 3]> {
    let number = value.as_canonical_u64();
    let high = (number >> shift).min(TABLE - 1);
    let [low, middle] = pair(Val::from_u64(number - (high << shift)), 16)?;
    Some([low, middle, Val::from_u64(high)])
}

pub fn int(value: i64) -> Val {
    from_signed(value)
}

pub fn wide(value: i128) -> Val {
    Val::from_u64(u64::try_from(value.rem_euclid(P)).expect("below the order"))
}

mod tests {
    use super::*;
    use crate::support::Random;
    use zk_autograd_air::StepConstants;
    use zk_autograd_air::trace::fill_row;

    const TOP_G: i64 = (1 << 30) - 1;

    /// What the relations allow of a state: a little more than the rules do.
    const WIDE_M: i64 = (1 << 45) + (1 << 31);
    const WIDE_G: i64 = (1 << 30) + (1 << 15) - 1;

    fn air(rule: Rule, s: u32, decay: bool, first: bool, constants: StepConstants) -> (Air, Vec<[i64; PERIODIC]>) {
        let (air, constants) =
            Air::new(&Variant { rule, s, decay, weights_in_range: first }, &[constants, no_op(rule)]).unwrap();
        (air, constants.periodic)
    }

    /// Solves a row; gives how many solutions there are. They must agree on what comes after the row, and with the honest row.
    fn solve(air: &Air, periodic: &[i64; PERIODIC], state: [i64; 3], gradient: i64) -> usize {
        let values: Vec<Val> = state.iter().map(|value| from_signed(*value)).collect();
        let rows = rows(air, periodic, &values, gradient);
        let mut nexts: Vec<Vec<Val>> = Vec::new();
        for row in &rows {
            let after = accepted(air, periodic, row);
            nexts.push(after.unwrap_or_else(|| panic!("{state:?} {gradient} {periodic:?}: {row:?} is no solution")));
        }
        nexts.dedup();
        assert!(nexts.len() <= 1, "{state:?} {gradient} {periodic:?} {air:?}: {nexts:?}");
        let mut honest = vec![Val::ZERO; air.columns().len()];
        if let Ok(after) = fill_row(air, periodic, state, gradient, &mut honest)
            && accepted(air, periodic, &honest).is_some()
        {
            let expected: Vec<Val> = after[..air.rule().states().len()].iter().map(|x| from_signed(*x)).collect();
            assert_eq!(nexts, [expected], "{state:?} {gradient} {periodic:?} {air:?}");
        }
        rows.len()
    }

    fn pick(random: &mut Random, list: &[i64]) -> i64 {
        list[usize::try_from(random.next() % list.len() as u64).unwrap()]
    }

    fn edges(random: &mut Random, bound: i64, bits: u32) -> i64 {
        match random.next() % 6 {
            0 => bound,
            1 => -bound,
            2 => (random.next() % 5).cast_signed() - 2,
            _ => random.signed(bits),
        }
    }

    #[test]
    fn a_step_of_adam_has_one_solution() {
        let mut random = Random(7);
        let (mut solved, mut unsolved) = (0, 0);
        for round in 0..60 {
            let constants = StepConstants {
                c1: pick(&mut random, &[1, 3277, 16_384, 32_767, 32_768]),
                c2: pick(&mut random, &[1, 33, 16_384, 32_767, 32_768]),
                lr: pick(&mut random, &[0, 1, 4_294_967, (1 << 30) - 1]),
                eps: pick(&mut random, &[1, 2, 33, (1 << 29) - 1]),
                decay: if round % 3 == 0 { pick(&mut random, &[0, 10_737, (1 << 28) - 1]) } else { 0 },
                ..StepConstants::default()
            };
            let (air, periodic) = air(Rule::AdamW, 0, round % 3 == 0, round % 4 == 0, constants);
            let m = edges(&mut random, WIDE_M, 45);
            let g = edges(&mut random, if round % 2 == 0 { TOP_G } else { WIDE_G }, 30).max(-(1 << 30));
            // Squares, their neighbours, and both ends.
            let root = random.signed(30).abs();
            let v = match random.next() % 6 {
                0 => 0,
                1 => 1 << 60,
                2 => WIDE_G * WIDE_G,
                3 => root * root,
                4 => root * root + 2 * root,
                _ => (random.next() >> 4).cast_signed(),
            };
            let w = edges(&mut random, 1 << 45, 45);
            let counts = [solve(&air, &periodic[0], [w, m, v], g), solve(&air, &periodic[1], [w, m, v], 0)];
            solved += counts.iter().filter(|count| **count > 0).count();
            unsolved += counts.iter().filter(|count| **count == 0).count();
        }
        assert!(solved > 60 && unsolved > 0, "{solved} states have a step and {unsolved} have none");
    }

    #[test]
    fn a_step_of_rmsprop_has_one_solution() {
        let mut random = Random(9);
        let (mut solved, mut unsolved) = (0, 0);
        for round in 0..60 {
            let constants = StepConstants {
                c2: pick(&mut random, &[1, 33, 328, 16_384, 32_767, 32_768]),
                lr: pick(&mut random, &[0, 1, 42_949_673, (1 << 30) - 1]),
                eps: pick(&mut random, &[1, 2, 33, (1 << 29) - 1]),
                decay: if round % 3 == 0 { pick(&mut random, &[0, 10_737, (1 << 28) - 1]) } else { 0 },
                ..StepConstants::default()
            };
            let (air, periodic) = air(Rule::Rmsprop, 0, round % 3 == 0, round % 4 == 0, constants);
            let g = edges(&mut random, if round % 2 == 0 { TOP_G } else { WIDE_G }, 30).max(-(1 << 30));
            let root = random.signed(30).abs();
            let v = match random.next() % 6 {
                0 => 0,
                1 => 1 << 60,
                2 => WIDE_G * WIDE_G,
                3 => root * root,
                4 => root * root + 2 * root,
                _ => (random.next() >> 4).cast_signed(),
            };
            let w = edges(&mut random, 1 << 45, 45);
            let counts = [solve(&air, &periodic[0], [w, v, 0], g), solve(&air, &periodic[1], [w, v, 0], 0)];
            solved += counts.iter().filter(|count| **count > 0).count();
            unsolved += counts.iter().filter(|count| **count == 0).count();
        }
        assert!(solved > 60 && unsolved > 0, "{solved} states have a step and {unsolved} have none");
    }

    #[test]
    fn a_step_of_lion_has_one_solution() {
        let mut random = Random(10);
        let (mut solved, mut zeros) = (0, 0);
        for round in 0..120 {
            let constants = StepConstants {
                c1: pick(&mut random, &[1, 3277, 16_384, 32_767, 32_768]),
                c2: pick(&mut random, &[1, 328, 16_384, 32_767, 32_768]),
                lr: pick(&mut random, &[1, 429_497, (1 << 30) - 1]),
                decay: if round % 3 == 0 { pick(&mut random, &[0, 10_737, (1 << 28) - 1]) } else { 0 },
                ..StepConstants::default()
            };
            let (air, periodic) = air(Rule::Lion, 0, round % 3 == 0, round % 4 == 0, constants);
            let mut g = edges(&mut random, if round % 2 == 0 { TOP_G } else { WIDE_G }, 30).max(-(1 << 30));
            let mut m = edges(&mut random, (1 << 45) + (1 << 32), 45);
            if round % 2 == 0 {
                // Where the sign turns: C = (2^15 - c1) n.
                let times = random.signed(12);
                (g, m) = (((1 << 15) - constants.c1) * times, -constants.c1 * (times << 15) + round % 3 - 1);
            }
            let w = edges(&mut random, 1 << 45, 45);
            zeros += usize::from(constants.c1 * ((g << 15) - m) + (m << 15) == 0);
            solved += usize::from(solve(&air, &periodic[0], [w, m, 0], g) > 0);
            solve(&air, &periodic[1], [w, m, 0], 0);
        }
        assert!(solved > 80 && zeros > 10, "{solved} states have a step, {zeros} have the sign 0");
    }

    /// Without 15 bits for K's upper limb C = -1 has the sign 1, too.
    #[test]
    fn every_c_has_one_sign() {
        for c in [0, 1, -1, 2, -2, 1 << 45, -(1 << 45), (1 << 60) + (1 << 47), -(1 << 60) - (1 << 47)] {
            let mut found: Vec<i64> = signs(int(c)).iter().map(|columns| to_signed(columns[0])).collect();
            found.dedup();
            assert_eq!(found, [c.signum()], "{c}");
        }
        let size = (int(-1) - Val::ONE).as_canonical_u64();
        assert!(size >> 48 == 0xffff, "four limbs of 16 bits hold it");
        // Beyond what the rule reaches a C has two signs: 2^63 from either end of the field.
        assert_eq!(signs(Val::from_u64(ORDER - (1 << 63))).len(), 2);
    }

    #[test]
    fn a_step_of_sgd_has_one_solution() {
        let mut random = Random(8);
        let mut solved = 0;
        for round in 0..90 {
            let rule = [Rule::Sgd, Rule::SgdMomentum, Rule::SgdNesterov][round % 3];
            let s = if random.next() & 1 == 0 { 15 } else { 30 };
            let decay = round % 4 == 0;
            let constants = StepConstants {
                mu: if rule == Rule::Sgd { 0 } else { pick(&mut random, &[0, 1, 29_491, 32_767]) },
                cg: 1 << 15,
                lr: pick(&mut random, &[0, 1, 5_243, 171_798_692, 1 << 30, (1 << 31) - 1]),
                decay: if decay { pick(&mut random, &[0, 10_737, (1 << 28) - 1]) } else { 0 },
                ..StepConstants::default()
            };
            let (air, periodic) = air(rule, s, decay, round % 5 == 0, constants);
            let state = [edges(&mut random, 1 << 45, 45), edges(&mut random, WIDE_G + 1, 30), 0];
            let g = edges(&mut random, TOP_G, 30);
            solved += usize::from(solve(&air, &periodic[0], state, g) > 0);
            assert_eq!(solve(&air, &periodic[1], state, 0).min(1), 1, "a no-op has a row: {state:?}");
        }
        assert!(solved > 40, "{solved} states have a step");
    }

    #[test]
    fn a_first_weight_that_is_no_integer_in_range_has_no_row() {
        let constants = StepConstants { cg: 1 << 15, lr: 5_243, decay: 10_737, ..StepConstants::default() };
        let (own, periodic) = air(Rule::Sgd, 15, true, true, constants);
        let half = Val::ONE.halve();
        let rest = int(1 << 15).inverse();
        for w in
            [half, int(5) + half, int(7) - half, rest, int(1 << 45) + int(1 << 31), int(-(1 << 45) - 1), int(i64::MAX)]
        {
            assert!(rows(&own, &periodic[0], &[w], 0).is_empty(), "{w}");
        }
        for w in [int((1 << 45) - 1), int(-(1 << 45)), int(0)] {
            assert!(!rows(&own, &periodic[0], &[w], 0).is_empty(), "{w}");
        }
        // Without the lookup of the low limb itself, a half integer would have one.
        let (later, periodic) = air(Rule::Sgd, 15, true, false, constants);
        let found = rows(&later, &periodic[0], &[int(5) + half], 0);
        assert!(found.iter().any(|row| accepted(&later, &periodic[0], row).is_some()));
    }

    /// The solver itself finds second solutions where a bound is missing.
    #[test]
    fn without_a_bound_on_the_update_there_is_a_second_one() {
        let y = int(171_798_692) * int(12_345);
        let line = i128::from((y.double() + int(1 << 30)).as_canonical_u64());
        let quotients: Vec<i128> = (0..3).map(|k| (line + k * P).div_euclid(1 << 31)).collect();
        // k = 2: the odd multiples of p give half integers.
        assert_eq!(quotients[2] - quotients[0], (1 << 34) - 4);
        assert_eq!(updates(30, y, &[]).len(), 1);
    }

    #[test]
    fn a_root_near_the_wrap_of_the_field_is_none() {
        // v near 2^32: v v + 4 a passes p, and only the bound on a1 + b1 keeps 4 V small.
        for vn in [0_u64, 1, 2, 3, 1 << 32, (1 << 60) + (1 << 46) + (1 << 30)] {
            for q in [0, 1, 32_767] {
                let found = roots(Val::from_u64(vn), q);
                let expected = vn.isqrt();
                assert!(found.iter().all(|(s, _)| s.as_canonical_u64() == expected), "{vn} {q} {found:?}");
                assert!(found.len() <= 1);
            }
        }
    }
}
