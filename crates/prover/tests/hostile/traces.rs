//! Rows that lie. Each lie breaks the named lookups or relations and nothing else, so that these alone stand against it.

use p3_field::{Field, PrimeCharacteristicRing, PrimeField64};
use zk_autograd_air::field::{from_signed, to_signed};
use zk_autograd_air::{Rule, Val};
use zk_autograd_verifier::{Error, Preset};

use crate::forged::{Broken, Careless, judge};
use crate::liar::{Row, SMALL, STEPS, TIE, adam, lie_at, refused, sgd};
use crate::solutions::{int, pair, triple, wide};
use crate::support::{Choice, Example};

const P: i128 = zk_autograd_air::field::ORDER as i128;

#[test]
fn the_division_by_d_has_one_quotient() {
    let example = adam();
    // A weight one unit lower at every step: r - 2 D is negative.
    refused(&example, 4, &["r0"], |row| {
        let r = row.int("r0") + (row.int("r1") << 16);
        let d = i128::from(to_signed(row.divisor()));
        row.shift(["u0", "u1"], 16, 1)?;
        row.remainder(r - 2 * d);
        Some(())
    });
    // The same upwards: r + 2 D has limbs, and 2 D - 1 - r is negative.
    refused(&example, 4, &["2 D - 1 - r - 2^16 c1"], |row| {
        let r = row.int("r0") + (row.int("r1") << 16);
        let d = i128::from(to_signed(row.divisor()));
        row.shift(["u0", "u1"], 16, -1)?;
        row.remainder(r + 2 * d);
        Some(())
    });
    // A tie rounded down: only the 1 in 2 D - 1 - r forbids it.
    refused(&example, TIE, &["2 D - 1 - r - 2^16 c1"], |row| {
        let r = row.int("r0") + (row.int("r1") << 16);
        let d = i128::from(to_signed(row.divisor()));
        row.shift(["u0", "u1"], 16, -1)?;
        row.remainder(r + 2 * d);
        (r == 0).then_some(())
    });
    // Any weight at all: the other quotients modulo p lie p / (2 D) away, here with the smallest D.
    for k in [-1, 1] {
        refused(&example, SMALL, &["u0"], |row| {
            let d = i128::from(to_signed(row.divisor()));
            let (u0, u1) = (row.int("u0"), row.int("u1"));
            let line = 2 * d * (u0 + (u1 << 16)) + row.int("r0") + (row.int("r1") << 16) + k * P;
            let r = line.rem_euclid(2 * d);
            row.set(&["u0", "u1"], &[wide(line.div_euclid(2 * d)), Val::ZERO]);
            row.remainder(r);
            (d == 1).then_some(())
        });
    }
    // Half a unit: the line holds over integers for it, and its remainder is one.
    refused(&example, STEPS - 1, &["u0"], |row| {
        let r = row.int("r0") + (row.int("r1") << 16);
        let d = i128::from(to_signed(row.divisor()));
        row.add("u0", Val::ONE.halve());
        row.remainder(r - d);
        (r >= d).then_some(())
    });
}

#[test]
fn the_first_moment_has_one_value() {
    let example = adam();
    let line = "2 (c1 (2^15 G - M) + 2^14 - 2^15 (M* - M))";
    // A first moment that drifts by a unit a step, either way.
    for by in [1, -1] {
        refused(&example, 5, &[line], |row| {
            row.add("r2", int(by));
            row.update()?;
            (1..0x7ffe).contains(&row.int("r2")).then_some(())
        });
    }
    // Half a unit: 2 r2 is in the table, r2 is not. Later half units add up to what the liar likes.
    refused(&example, STEPS - 1, &["r2"], |row| {
        let mn = row.get("M") + int(0);
        let g = row.get("g0") + row.get("g1") * int(1 << 15) - int(1 << 30);
        let own =
            (row.get("m0") + row.get("m1") * int(1 << 15) - int(1 << 30)) * int(1 << 15) + row.get("r2") - int(1 << 14);
        let rest = (g * int(1 << 15) - mn) * int(row.air.segment().first) + int(1 << 14) - (own - mn) * int(1 << 15);
        row.add("r2", -Val::ONE.halve());
        (rest.as_canonical_u64() < 1 << 14).then_some(())
    });
    // Two quotients of one moment: a remainder of 2^15 and more under a smaller Mh, and so another update.
    refused(&example, 5, &["2 r2"], |row| {
        row.shift(["m0", "m1"], 15, -1)?;
        row.add("r2", int(1 << 15));
        let before = row.get("u0");
        row.update()?;
        (row.get("u0") != before).then_some(())
    });
    // Any Mh, and so any moment: a limb that is no integer.
    refused(&example, STEPS - 1, &["m0"], |row| {
        row.add("m0", -Val::ONE.halve());
        row.add("r2", int(1 << 14));
        row.update()?;
        (row.get("r2").as_canonical_u64() < 1 << 15).then_some(())
    });
}

#[test]
fn the_second_moment_has_one_value() {
    let example = adam();
    let line = "2 (c2 xl + 2^14 - 2^15 q)";
    // q +- 1.
    for by in [1, -1] {
        refused(&example, 5, &[line], |row| {
            let (vn, q) = (row.get("V*") + int(by), row.q() + by);
            row.second_moment(vn, q)?;
            (to_signed(vn) >= 0).then_some(())
        });
    }
    // The same below zero: a V of -1 has a root near 2^31, and no step moves the weight much from there on.
    refused(&example, STEPS - 1, &[line], |row| {
        let zero = row.get("V*") == Val::ZERO;
        let q = row.q() - 1;
        row.second_moment(-Val::ONE, q)?;
        zero.then_some(())
    });
    // q and a half: the root of a half integer lies beyond 2^31.
    refused(&example, STEPS - 1, &["a1 + b1 + q + 1"], |row| {
        let vn = row.get("V*") + Val::ONE.halve();
        let rest = row.get("xl") * int(row.air.segment().second) + int(1 << 14) - int(row.q()) * int(1 << 15);
        wrapped_root(row, vn, 2)?;
        // The remainder falls by half of 2^15.
        (rest.as_canonical_u64() >= 1 << 14).then_some(())
    });
    // Xh wrapped: xl half a unit up moves Xh by 2^-16, and V* by c2 times that, to a root that the liar has found.
    refused(&example, STEPS - 1, &["x0"], |row| {
        let half = Val::ONE.halve();
        let xl = row.get("xl") + half;
        let doubled = xl.double().as_canonical_u64();
        if doubled >= 1 << 16 {
            return None;
        }
        row.add("x0", -half * int(1 << 15).inverse());
        row.set(&["xl"], &[xl]);
        // 2 (c2 xl + 2^14) = 2^16 q + 2 rho
        let q = (doubled * u64::try_from(row.air.segment().second).unwrap() + (1 << 15)) >> 16;
        let xh = row.get("x0") + row.get("x1") * int(1 << 16) + row.get("x2") * int(1 << 31) - int(1 << 46);
        let vn = row.get("V") + xh * int(row.air.segment().second) + Val::from_u64(q);
        row.second_moment(vn, q.cast_signed())
    });
    // A remainder of X below zero, or of 2^15 and more: Xh one off.
    for by in [1, -1] {
        let forged = lie_at(&example, 5, |row| {
            let xh = row.int("x0") + (row.int("x1") << 16) + (row.int("x2") << 31) + i128::from(by);
            row.set(&["x0", "x1", "x2"], &triple(wide(xh), 31)?);
            row.add("xl", -int(by << 15));
            Some(())
        });
        // V* stays what it was: q makes up for it. Nothing is won, and it is refused all the same.
        assert!(forged.broken.contains("2 xl"), "{:?}", forged.broken);
        assert_eq!(judge(&example, forged, &Careless), Err(Error::Relations));
    }
}

/// S and a for V*, with `v v + 4 a = 4 V* + k p`, whatever the upper limbs add up to.
fn wrapped_root(row: &mut Row<'_>, vn: Val, k: i128) -> Option<()> {
    let sum = i128::from(vn.double().double().as_canonical_u64()) + k * P;
    let top = i128::try_from(u128::try_from(sum).unwrap().isqrt()).unwrap();
    let (a, v) = (top - 8..=top).rev().find_map(|v| {
        let rest = sum - v * v;
        let (a, b) = (rest / 4, v - rest / 4);
        (rest % 4 == 0 && a < 1 << 32 && (0..1 << 32).contains(&b)).then_some((a, v))
    })?;
    let b = v - a;
    row.set(&["V*", "S"], &[vn, wide(v).halve()]);
    row.set(&["a0", "a1", "b1"], &[wide(a & 0xffff), wide(a >> 16), wide(b >> 16)]);
    row.update()
}

#[test]
fn the_root_has_one_value() {
    let example = adam();
    // S one too large: a smaller step. a is negative.
    refused(&example, 5, &["a0"], |row| {
        let (s, a) = (row.int("S"), row.int("a0") + (row.int("a1") << 16));
        let a = a - 2 * s - 1;
        row.set(&["S", "a0", "a1", "b1"], &[wide(s + 1), wide(a), Val::ZERO, wide((2 * s + 2 - a) >> 16)]);
        let before = row.get("u0");
        row.update()?;
        (row.get("u0") != before).then_some(())
    });
    // S one too small: a = 2 S + 1 or more, and 2 S - a is negative.
    refused(&example, 5, &["2 S - a - 2^16 b1"], |row| {
        let (s, a) = (row.int("S"), row.int("a0") + (row.int("a1") << 16));
        let a = a + 2 * s - 1;
        row.set(&["S", "a0", "a1", "b1"], &[wide(s - 1), wide(a & 0xffff), wide(a >> 16), Val::ZERO]);
        let before = row.get("u0");
        row.update()?;
        (s > 0 && a < 1 << 32 && row.get("u0") != before).then_some(())
    });
    // S near 2^31 by a wrap of the field: v is odd, D a half integer, and with so large a D the division wraps, too.
    refused(&example, STEPS - 1, &["a1 + b1 + q + 1"], |row| {
        let vn = row.get("V*");
        wrapped_root(row, vn, 1)
    });
}

#[test]
fn decay_and_the_weight_have_one_value() {
    let example = adam();
    // Less decay than the hyper-parameters say, or more.
    for (by, broken) in [(1, "2 rr"), (-1, "2 rr")] {
        refused(&example, 5, &[broken], |row| {
            row.shift(["d0", "d1"], 16, by)?;
            row.add("rr", -wide(by << 15));
            Some(())
        });
    }
    // Any decay: a limb that is no integer.
    refused(&example, STEPS - 1, &["d0"], |row| {
        row.add("d0", -Val::ONE.halve());
        row.add("rr", int(1 << 14));
        (row.get("rr").as_canonical_u64() < 1 << 15).then_some(())
    });
    // The decay of another weight.
    refused(&example, 5, &["2 (W - 2^15 Wh)"], |row| {
        row.shift(["h0", "h1"], 15, -1)?;
        let wh = row.get("h0") + row.get("h1") * int(1 << 15) - int(1 << 30);
        let line = to_signed(from_signed(row.periodic[3]) * wh + int(1 << 14));
        let r = line >> 15;
        row.set(&["d0", "d1", "d2"], &triple(int(r + (1 << 43)), 28)?);
        row.set(&["rr"], &[int(line & 0x7fff)]);
        Some(())
    });
}

#[test]
fn a_gradient_is_in_range_and_zero_where_nothing_happens() {
    // A gradient beyond its range drives a weight anywhere in one step.
    let example = adam();
    refused(&example, 5, &["g1"], |row| {
        let g = (1 << 30) + (1 << 16) + 5;
        row.set(&["g0", "g1"], &[int(5), int((1 << 16) + 2)]);
        let m = to_signed(row.get("M"));
        let mn = m + ((row.air.segment().first * ((g << 15) - m) + (1 << 14)) >> 15);
        let rounded = mn + (1 << 14);
        row.set(&["m0", "m1"], &pair(int((rounded >> 15) + (1 << 30)), 15)?);
        row.set(&["r2"], &[int(rounded & 0x7fff)]);
        let x = g * g - to_signed(row.get("V"));
        row.set(&["x0", "x1", "x2"], &triple(int((x >> 15) + (1 << 46)), 31)?);
        row.set(&["xl"], &[int(x & 0x7fff)]);
        let q = (row.air.segment().second * (x & 0x7fff) + (1 << 14)) >> 15;
        let vn = row.get("V") + int(row.air.segment().second * (x >> 15) + q);
        row.second_moment(vn, q)
    });
    // A step that is said not to be one, and has a gradient: nothing is won today, since M and V stay.
    let choice =
        Choice { rule: Rule::SgdMomentum, s: 30, decay: false, first: false, log_params: 13, steps: 8, no_ops: 2 };
    let example = Example::new(&choice, Preset::Standard, 6);
    let forged = lie_at(&example, 7, |row| {
        row.add("g0", Val::ONE);
        row.shift(["b0", "b1"], 15, 1)?;
        (row.int("g0") < 1 << 16).then_some(())
    });
    assert_eq!(forged.broken, Broken::from(["G = 0 in a no-op step"]));
    assert_eq!(judge(&example, forged, &Careless), Err(Error::Relations));
}

#[test]
fn a_step_of_sgd_has_one_value() {
    let example = sgd(Rule::SgdNesterov, 30);
    let buffer = "2 (mu B + 2^14 - 2^15 (B* - G))";
    let argument = "2 (mu B* + 2^14 - 2^15 (A - G))";
    let redo = |row: &mut Row<'_>| -> Option<()> {
        let a = to_signed(row.get("n0") + row.get("n1") * int(1 << 16) - int(1 << 31));
        let line = row.periodic[1] * a + (1 << 29);
        row.set(&["u0", "u1"], &pair(int((line >> 30) + (1 << 31)), 16)?);
        row.set(&["e0", "e1"], &[int(line & 0x7fff), int((line >> 15) & 0x7fff)]);
        Some(())
    };
    // Momentum that drifts.
    for by in [1, -1] {
        refused(&example, STEPS - 1, &[buffer], |row| {
            let before = row.get("n0");
            row.shift(["b0", "b1"], 15, by)?;
            // The argument follows by its own line, if it moves at all.
            let b = to_signed(row.get("b0") + row.get("b1") * int(1 << 15) - int(1 << 30));
            let g = to_signed(row.get("g0") + row.get("g1") * int(1 << 15) - int(1 << 30));
            let a = ((row.air.segment().first * b + (1 << 14)) >> 15) + g;
            row.set(&["n0", "n1"], &pair(int(a + (1 << 31)), 16)?);
            redo(row)?;
            (row.get("n0") != before).then_some(())
        });
    }
    // Half a unit of momentum: b0 itself is no integer.
    let momentum = sgd(Rule::SgdMomentum, 15);
    refused(&momentum, STEPS - 1, &["b0"], |row| {
        let b = to_signed(row.get("B"));
        row.add("b0", -Val::ONE.halve());
        let short = 2 * row.int("e0") < row.periodic[1].into();
        let halved = int(row.periodic[1]).halve();
        row.add("e0", -halved);
        (!short && (row.air.segment().first * b + (1 << 14)) & 0x7fff < 1 << 14).then_some(())
    });
    // Nesterov's argument, either way: a larger or smaller step.
    for by in [1, -1] {
        refused(&example, 5, &[argument], |row| {
            let before = row.get("u0");
            row.shift(["n0", "n1"], 16, by)?;
            redo(row)?;
            (row.get("u0") != before).then_some(())
        });
    }
    // A weight one unit off: e + 2^30 has a limb of 16 bits, and not of 15.
    refused(&example, 5, &["2 e1"], |row| {
        row.shift(["u0", "u1"], 16, -1)?;
        row.add("e1", int(1 << 15));
        Some(())
    });
    refused(&example, 5, &["2 e0"], |row| {
        row.shift(["u0", "u1"], 16, 1)?;
        row.add("e0", -int(1 << 30));
        Some(())
    });
    // The next solution modulo p: 2^30 (2^34 - 4) is p - 1.
    refused(&example, 5, &["u0"], |row| {
        row.add("u0", int((1 << 34) - 4));
        row.add("e0", Val::ONE);
        (row.int("e0") < 1 << 15).then_some(())
    });
    // s = 15: the same three.
    for (by, broken) in [(1, "2 e0"), (-1, "2 e0")] {
        refused(&momentum, 5, &[broken], |row| {
            row.shift(["u0", "u1"], 16, by)?;
            row.add("e0", -wide(by << 15));
            Some(())
        });
    }
    refused(&momentum, STEPS - 1, &["u0"], |row| {
        row.add("u0", -Val::ONE.halve());
        row.add("e0", int(1 << 14));
        (row.int("e0") < 1 << 15).then_some(())
    });
}
