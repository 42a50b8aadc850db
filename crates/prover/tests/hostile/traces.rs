//! Rows that lie. Each lie breaks the named lookups or relations and nothing else, so that these alone stand against it.

use core::cell::Cell;

use p3_field::{Field, PrimeCharacteristicRing, PrimeField64};
use zk_autograd_air::constants::PERIODIC;
use zk_autograd_air::field::{from_signed, to_signed};
use zk_autograd_air::{Air, Rule, StepConstants, Val};
use zk_autograd_verifier::{Error, Preset, Statement};

use crate::forged::{Broken, Careless, Forged, Lie, column, forge, judge};
use crate::solutions::{int, pair, quotients, roots, triple, wide};
use crate::support::{Choice, Example, Random, constants, no_op};

const P: i128 = zk_autograd_air::field::ORDER as i128;

/// A row under a liar's hands.
struct Row<'a> {
    air: &'a Air,
    periodic: &'a [i64; PERIODIC],
    values: Vec<Val>,
}

impl Row<'_> {
    fn get(&self, name: &str) -> Val {
        self.values[column(self.air, name)]
    }

    fn int(&self, name: &str) -> i128 {
        to_signed(self.get(name)).into()
    }

    fn set(&mut self, names: &[&str], values: &[Val]) {
        for (name, value) in names.iter().zip(values) {
            self.values[column(self.air, name)] = *value;
        }
    }

    fn add(&mut self, name: &str, value: Val) {
        let own = self.get(name);
        self.set(&[name], &[own + value]);
    }

    /// Adds to limbs of an integer, if the limbs can hold it.
    fn shift(&mut self, limbs: [&str; 2], bits: u32, by: i128) -> Option<()> {
        let sum = self.int(limbs[0]) + (self.int(limbs[1]) << bits) + by;
        let values = (sum >= 0).then(|| pair(wide(sum), bits)).flatten()?;
        self.set(&limbs, &values);
        Some(())
    }

    fn divisor(&self) -> Val {
        self.get("S") + from_signed(self.periodic[2])
    }

    /// Adam's update for the row's first moment and root: as honest as can be.
    fn update(&mut self) -> Option<()> {
        let mh = self.get("m0") + self.get("m1") * int(1 << 15) - int(1 << 30);
        let found = quotients(from_signed(self.periodic[1]) * mh, self.divisor());
        self.set(&["u0", "u1", "r0", "r1", "c1"], found.first()?);
        Some(())
    }

    /// Adam's root and update for another second moment.
    fn second_moment(&mut self, vn: Val, q: i64) -> Option<()> {
        let found = roots(vn, q);
        let (s, limbs) = found.first()?;
        self.set(&["V*", "S"], &[vn, *s]);
        self.set(&["a0", "a1", "b1"], limbs);
        self.update()
    }

    /// The quotient q of the second moment.
    fn q(&self) -> i64 {
        let xh = self.get("x0") + self.get("x1") * int(1 << 16) + self.get("x2") * int(1 << 31) - int(1 << 46);
        to_signed(self.get("V*") - self.get("V") - xh * int(self.air.second()))
    }

    /// Another remainder of the update's division: its limbs, or the whole of it in the low one.
    fn remainder(&mut self, r: i128) {
        let top = to_signed(self.divisor().double() - Val::ONE);
        let (r0, r1) = if (0..1 << 32).contains(&r) { (r & 0xffff, r >> 16) } else { (r, 0) };
        let c = i128::from(top) - r;
        let c1 = if (0..1 << 32).contains(&c) { c >> 16 } else { 0 };
        self.set(&["r0", "r1", "c1"], &[wide(r0), wide(r1), wide(c1)]);
    }
}

/// The first row of a step for which there is such a lie, the rest honest.
fn lie_at(example: &Example, step: usize, lie: impl Fn(&mut Row<'_>) -> Option<()>) -> Forged {
    let done = Cell::new(false);
    let (air, constants) = (&example.statement.air, &example.statement.constants);
    let forged = forge(example, |_, at, row| {
        if at != step || done.get() {
            return None;
        }
        let mut own = Row { air, periodic: &constants.periodic[step], values: row.to_vec() };
        lie(&mut own)?;
        done.set(true);
        Some(Lie::from(own.values))
    });
    assert!(done.get(), "no row for this lie");
    forged
}

/// A lie that would win another state, and that `broken` alone stand against.
fn refused(example: &Example, step: usize, broken: &[&'static str], lie: impl Fn(&mut Row<'_>) -> Option<()>) {
    let forged = lie_at(example, step, lie);
    assert_eq!(forged.broken, broken.iter().copied().collect::<Broken>());
    assert!(forged.states != example.states, "{broken:?}: nothing would be won");
    assert_eq!(judge(example, forged, &Careless), Err(Error::Relations), "{broken:?}");
}

const TIE: usize = 2;
const STEPS: usize = 8;
const SMALL: usize = STEPS - 1;

/// `AdamW` with every optional relation. In step TIE a quarter of the rows has an exact tie, in step SMALL D is 1.
fn adam() -> Example {
    let mut steps: Vec<StepConstants> = (0..STEPS).map(|step| constants(Rule::AdamW, 0, true, step)).collect();
    for step in &mut steps {
        step.decay = 123_456_789;
    }
    steps[TIE].eps = 2 * steps[TIE].lr;
    steps[SMALL].eps = 1;
    let statement = Statement::new(Rule::AdamW, 0, true, true, Preset::Standard, 13, &steps, [7; 32]).unwrap();
    let mut random = Random(3);
    let mut gradients = Random(4);
    Example::with(
        statement,
        5,
        |element| {
            let size = random.signed(28);
            let w = random.signed(44);
            // Every fourth parameter has no second moment and no gradient.
            if element % 4 == 0 { [w, size.signum() << 15, 0] } else { [w, size << 15, size * size] }
        },
        |element, _| if element % 4 == 0 { 0 } else { gradients.signed(30) },
    )
}

fn sgd(rule: Rule, s: u32) -> Example {
    let choice = Choice { rule, s, decay: false, first: false, log_params: 13, steps: STEPS, no_ops: 0 };
    Example::new(&choice, Preset::Standard, 6)
}

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
        let rest = (g * int(1 << 15) - mn) * int(row.air.first()) + int(1 << 14) - (own - mn) * int(1 << 15);
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
        let rest = row.get("xl") * int(row.air.second()) + int(1 << 14) - int(row.q()) * int(1 << 15);
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
        let q = (doubled * u64::try_from(row.air.second()).unwrap() + (1 << 15)) >> 16;
        let xh = row.get("x0") + row.get("x1") * int(1 << 16) + row.get("x2") * int(1 << 31) - int(1 << 46);
        let vn = row.get("V") + xh * int(row.air.second()) + Val::from_u64(q);
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
        let mn = m + ((row.air.first() * ((g << 15) - m) + (1 << 14)) >> 15);
        let rounded = mn + (1 << 14);
        row.set(&["m0", "m1"], &pair(int((rounded >> 15) + (1 << 30)), 15)?);
        row.set(&["r2"], &[int(rounded & 0x7fff)]);
        let x = g * g - to_signed(row.get("V"));
        row.set(&["x0", "x1", "x2"], &triple(int((x >> 15) + (1 << 46)), 31)?);
        row.set(&["xl"], &[int(x & 0x7fff)]);
        let q = (row.air.second() * (x & 0x7fff) + (1 << 14)) >> 15;
        let vn = row.get("V") + int(row.air.second() * (x >> 15) + q);
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
            let a = ((row.air.first() * b + (1 << 14)) >> 15) + g;
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
        (!short && (row.air.first() * b + (1 << 14)) & 0x7fff < 1 << 14).then_some(())
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

/// Limbs of one number that make up for each other: the number is the same, and one limb is none. Without that limb's lookup the
/// number could be any field element.
#[test]
fn each_limb_is_looked_up() {
    let example = adam();
    // The high limb takes a fraction of the low one's unit.
    for (low, high, bits, broken) in [
        ("m0", "m1", 15, &["m1"][..]),
        ("x0", "x1", 16, &["x1"]),
        ("x1", "x2", 15, &["x2"]),
        ("a0", "a1", 16, &["a1", "a1 + b1 + q + 1"]),
        ("u0", "u1", 16, &["u1"]),
        ("r0", "r1", 16, &["r1"]),
        ("d0", "d1", 16, &["d1"]),
        ("d1", "d2", 12, &["d2"]),
        ("h0", "h1", 15, &["h1"]),
        ("g0", "g1", 15, &["g1"]),
        // What the low limb of these two is, is an expression.
        ("", "b1", 16, &["b1", "a1 + b1 + q + 1"]),
        ("", "c1", 16, &["c1"]),
    ] {
        let forged = lie_at(&example, 5, |row| {
            if !low.is_empty() {
                row.add(low, -Val::ONE);
            }
            row.add(high, int(1 << bits).inverse());
            let relations = crate::solutions::relations(row.air, row.periodic, &row.values);
            let outside = relations.ranges.iter().filter(|value| value.as_canonical_u64() >= 1 << 16).count();
            (outside == broken.len()).then_some(())
        });
        assert_eq!(forged.broken, broken.iter().copied().collect::<Broken>());
        assert_eq!(judge(&example, forged, &Careless), Err(Error::Relations), "{high}");
    }
    // The low limb is larger than the table.
    for (low, high) in [("h0", "h1"), ("g0", "g1")] {
        let forged = lie_at(&example, 5, |row| {
            row.add(low, int(1 << 16));
            row.add(high, int(-2));
            Some(())
        });
        assert_eq!(forged.broken, Broken::from([low]));
        assert_eq!(judge(&example, forged, &Careless), Err(Error::Relations), "{low}");
    }
}

#[test]
fn a_first_weight_is_an_integer_in_range() {
    let choice = Choice { rule: Rule::Sgd, s: 15, decay: false, first: true, log_params: 13, steps: 8, no_ops: 0 };
    let example = Example::new(&choice, Preset::Standard, 6);
    let air = &example.statement.air;
    // Later ranges rest on this one: from a half integer, or from 2^45 + 2^31, weights go where no limb follows.
    let half = to_signed(Val::ONE.halve());
    let low = "W - 2^15 Wh";
    let lies = [
        (half, [int(0), int(1 << 15)], low),
        ((1 << 45) + (1 << 31), [int(0xffff), int(0xffff)], "2 (W - 2^15 Wh)"),
        (-(1 << 45) - 1, [int(0), int(0)], low),
    ];
    for (start, limbs, name) in lies {
        let mut own = Example::new(&choice, Preset::Standard, 6);
        own.states[0][0] = start;
        let forged = forge(&own, |element, _, row| {
            (element == 0).then(|| {
                let mut row = row.to_vec();
                row[column(air, "h0")] = limbs[0];
                row[column(air, "h1")] = limbs[1];
                Lie::from(row)
            })
        });
        assert!(forged.broken.contains(name), "{:?}", forged.broken);
        assert_eq!(judge(&own, forged, &Careless), Err(Error::Relations), "{name}");
    }
}

#[test]
fn the_states_of_a_parameter_follow_one_another() {
    let example = adam();
    for state in 0..3 {
        // A state that jumps between two steps, or after the last: the rows themselves are right.
        for step in [3, STEPS - 1] {
            let forged = forge(&example, |element, at, row| {
                (element == 77 && at == step).then(|| {
                    let relations = crate::solutions::relations(
                        &example.statement.air,
                        &example.statement.constants.periodic[at],
                        row,
                    );
                    let mut after = relations.nexts;
                    after[state] += Val::ONE;
                    Lie { row: row.to_vec(), after: Some(after) }
                })
            });
            assert_eq!(forged.broken, Broken::new());
            assert_eq!(judge(&example, forged, &Careless), Err(Error::Relations), "{state} {step}");
        }
    }
}

#[test]
fn a_step_that_is_none_leaves_every_state_as_it_is() {
    let choice = Choice { rule: Rule::Adam, s: 0, decay: false, first: false, log_params: 13, steps: 8, no_ops: 3 };
    let example = Example::new(&choice, Preset::Standard, 6);
    // The momenta that the rule would give: the first moment forgets what a log can't show.
    let forged = forge(&example, |element, step, row| {
        (element == 9 && step == 6).then(|| {
            let air = &example.statement.air;
            let mn = (row[column(air, "m0")] + row[column(air, "m1")] * int(1 << 15) - int(1 << 30)) * int(1 << 15)
                + row[column(air, "r2")]
                - int(1 << 14);
            let after = vec![row[0], mn, row[column(air, "V*")]];
            assert!(after[1] != row[1]);
            Lie { row: row.to_vec(), after: Some(after) }
        })
    });
    assert_eq!(judge(&example, forged, &Careless), Err(Error::Relations));
}

/// Constants of another step, of another run, and rows in another order.
#[test]
fn the_rows_are_of_the_steps_that_the_statement_names() {
    let choice = Choice { rule: Rule::AdamW, s: 0, decay: true, first: false, log_params: 13, steps: 8, no_ops: 1 };
    let own = Example::new(&choice, Preset::Standard, 6);
    let with = |change: &dyn Fn(&mut Vec<StepConstants>)| {
        let mut steps = choice.steps();
        change(&mut steps);
        choice.statement_with(Preset::Standard, &steps)
    };
    let others: [(&str, Statement); 7] = [
        ("LR of another step", with(&|steps| (steps[1].lr, steps[2].lr) = (steps[2].lr, steps[1].lr))),
        ("LR of the last step", with(&|steps| steps[6].lr += 1)),
        ("E", with(&|steps| steps[3].eps += 1)),
        ("D", with(&|steps| steps[3].decay += 1)),
        ("c1", with(&|steps| steps.iter_mut().take(7).for_each(|step| step.c1 += 1))),
        ("c2", with(&|steps| steps.iter_mut().take(7).for_each(|step| step.c2 += 1))),
        ("one more step", with(&|steps| steps[7] = steps[6])),
    ];
    for (name, statement) in others {
        // The trace follows the statement's constants, the proof is of the liar's.
        let other = Example::new(&choice, Preset::Standard, 6);
        let followed = Example::with(
            statement,
            6,
            |element| core::array::from_fn(|state| other.states[state][element]),
            |element, step| other.gradients[(step << 13) + element],
        );
        let forged = forge(&followed, |_, _, _| None);
        assert_eq!(forged.broken, Broken::new());
        assert!(forged.states != own.states, "{name}");
        assert_eq!(judge(&own, forged, &Careless), Err(Error::Relations), "{name}");
    }
    assert_eq!(no_op(Rule::AdamW).lr, 0);
}

#[test]
fn rows_stand_parameter_by_parameter() {
    // Steps before parameters: a state-in that would be tied to the first N rows.
    let choice = Choice { rule: Rule::Sgd, s: 30, decay: false, first: false, log_params: 13, steps: 8, no_ops: 0 };
    let example = Example::new(&choice, Preset::Standard, 6);
    let mut forged = forge(&example, |_, _, _| None);
    let width = forged.trace.width;
    let mut values = forged.trace.values.clone();
    let multiplicity = example.statement.shape.main - 1;
    for element in 0..1 << 13 {
        for step in 0..8 {
            let (from, to) = ((element * 8 + step) * width, ((step << 13) + element) * width);
            for column in (0..width).filter(|column| *column != multiplicity) {
                values[to + column] = forged.trace.values[from + column];
            }
        }
    }
    forged.trace.values = values;
    assert_eq!(judge(&example, forged, &Careless), Err(Error::Relations));
}
