//! Traces that a dishonest prover would rather have: one thing is changed, and what that breaks is mended elsewhere.
//!
//! The mending looks for second solutions. It takes a relation that fails and solves it, over the field, for a column in which it
//! is linear; it moves a looked-up value back into the table, through a column again; it writes what the states become
//! into the following row. A few rounds of that end in a trace that breaks little, or nothing.

use p3_field::{Field, PrimeCharacteristicRing, PrimeField64};
use zk_autograd_air::field::{ORDER, from_signed, to_signed};
use zk_autograd_air::trace::fill_row;
use zk_autograd_air::{Air, Collected, Periodic, Rule, RuleError, Val, Variant, evaluate};

use crate::sample::Random;
use crate::segment::Segment;
use crate::verdict::Trace;

/// Another value for a cell.
fn another(random: &mut Random, value: Val) -> Val {
    let power = Val::from_u64(1 << random.below(32));
    match random.below(11) {
        0 => value + Val::ONE,
        1 => value - Val::ONE,
        2 => value + power,
        3 => value - power,
        4 => value + power.inverse(),
        5 => value - power.inverse(),
        6 => value.halve(),
        7 => from_signed(random.signed(62)),
        8 => value + Val::ONE.halve(),
        9 => value - Val::ONE.halve(),
        _ => value + from_signed(random.signed(45)),
    }
}

/// Overlapping or adjoining limbs, or a remainder and its quotient: what the upper one loses, the lower one gains.
fn moved_limbs(random: &mut Random, air: &Air, row: &mut [Val]) -> usize {
    let names = air.columns();
    let quotient = if air.segment().s == 30 { "e1" } else { "e0" };
    let pairs: Vec<(usize, usize, u32)> = [
        ("m0", "m1", if place(&names, "m2").is_some() { 16 } else { 15 }),
        ("m1", "m2", 14),
        ("k0", "k1", 16),
        ("k1", "k2", 16),
        ("k2", "k3", 16),
        ("g0", "g1", 15),
        ("h0", "h1", 15),
        ("b0", "b1", 15),
        ("e0", "e1", 15),
        ("x0", "x1", 16),
        ("x1", "x2", 15),
        ("d0", "d1", 16),
        ("d1", "d2", 12),
        ("a0", "a1", 16),
        ("u0", "u1", 16),
        ("n0", "n1", 16),
        ("r0", "r1", 16),
        ("r2", "m0", 15),
        ("xl", "x0", 15),
        ("rr", "d0", 15),
        (quotient, "u0", 15),
    ]
    .into_iter()
    .filter_map(|(low, high, shift)| Some((place(&names, low)?, place(&names, high)?, shift)))
    .collect();
    let (low, high, shift) = pairs[random.below(pairs.len())];
    let one = if random.once_in(2) { Val::ONE } else { -Val::ONE };
    row[low] += one * Val::from_u64(1 << shift);
    row[high] -= one;
    high
}

fn place(names: &[&str], name: &str) -> Option<usize> {
    names.iter().position(|own| *own == name)
}

/// Adam's or RMSprop's root and all that follows from it, for another root: the integer's neighbours with a remainder of the wrong size, or
/// the half of an odd v for which `v v + 4 a` is `4 V* + p`; or for the same root and a quotient U that wraps around p. Now and
/// then U is the neighbour of what it should be.
fn other_root(random: &mut Random, air: &Air, periodic: &[i64; 4], row: &mut [Val]) -> Option<usize> {
    let names = air.columns();
    let read = |name: &str, row: &[Val]| place(&names, name).map(|at| i128::from(to_signed(row[at])));
    let new_v = read("V*", row)?;
    let (low, high) = if air.rule() == Rule::Rmsprop { ("g0", "g1") } else { ("m0", "m1") };
    let numerator = read(low, row)? + (read(high, row)? << 15) - (1 << 30);
    let (lr, eps) = (i128::from(periodic[1]), i128::from(periodic[2]));
    let order = i128::from(ORDER);
    // v is 2 S and y is 2 LR N + D, doubled modulo p where S is no integer.
    let (v, a, halves, wrap) = match random.below(3) {
        0 => {
            let root = read("S", row)? + [-2, -1, 1, 2][random.below(4)];
            (2 * root, new_v - root * root, false, 0)
        }
        1 => {
            let root = read("S", row)?;
            let wrap = if random.once_in(2) { WRAPS[random.below(4)] } else { 0 };
            (2 * root, new_v - root * root, false, wrap * order)
        }
        _ => {
            let square = order + 4 * new_v;
            let root = i128::try_from(u128::try_from(square).ok()?.isqrt()).ok()?;
            let odd = if root % 2 == 0 { root - 1 } else { root };
            (odd, (square - odd * odd) / 4, true, 0)
        }
    };
    let b = v - a;
    let divisor = v + 2 * eps;
    let twice = 4 * lr * numerator + divisor;
    if divisor <= 0 {
        return None;
    }
    let y = if halves { i128::midpoint(twice, order) } else { twice / 2 };
    let y = if halves && y >= divisor << 31 { y - order } else { y + wrap };
    let u = y.div_euclid(divisor) + if random.once_in(3) { [-1, 1][random.below(2)] } else { 0 };
    let r = y - divisor * u;
    let c = divisor - 1 - r;
    let mut write = |name: &str, value: i128| {
        if let Some(at) = place(&names, name) {
            row[at] = Val::from_i128(value);
        }
    };
    write("S", if halves { i128::midpoint(v, order) } else { v / 2 });
    for (low, high, value) in [("a0", "a1", a), ("u0", "u1", u + (1 << 31)), ("r0", "r1", r)] {
        write(low, value & 0xffff);
        write(high, value >> 16);
    }
    write("b1", b >> 16);
    write("c1", c >> 16);
    place(&names, "S")
}

/// Another sign of Lion's C, with the size that goes with it: limbs for `C / sg - 1` modulo p, cut at 64 bits.
fn other_sign(random: &mut Random, air: &Air, _periodic: &[i64; 4], row: &mut [Val]) -> Option<usize> {
    let names = air.columns();
    let at = |name: &str| place(&names, name);
    let (first, m) = (from_signed(air.segment().first), row[at("M")?]);
    let g = row[at("g0")?] + row[at("g1")?] * Val::from_u64(1 << 15) - Val::from_u64(1 << 30);
    let c = (g * Val::from_u64(1 << 15) - m) * first + m * Val::from_u64(1 << 15);
    let old = row[at("sg")?];
    let few = [-old, -Val::ONE, Val::ZERO, Val::ONE, Val::TWO, -Val::TWO, Val::ONE.halve()];
    let sign = match random.below(9) {
        7 => from_signed(random.signed(16)),
        // The other lookup's: a fraction of 32767.
        8 => Val::from_u64(random.unsigned(16).unsigned_abs()) * Val::from_u64(32_767).inverse() - Val::ONE,
        which => few[which],
    };
    let k = sign.try_inverse().map_or(0, |inverse| (c * inverse - Val::ONE).as_canonical_u64());
    row[at("sg")?] = sign;
    for (limb, shift) in [("k0", 0), ("k1", 16), ("k2", 32), ("k3", 48)] {
        row[at(limb)?] = Val::from_u64((k >> shift) & 0xffff);
    }
    at("sg")
}

/// SGD's U and what it leaves, for a quotient that wraps around p.
fn other_quotient(random: &mut Random, air: &Air, periodic: &[i64; 4], row: &mut [Val]) -> Option<usize> {
    let names = air.columns();
    let read = |name: &str, row: &[Val]| place(&names, name).map(|at| i128::from(to_signed(row[at])));
    let (low, high, shift, offset) = match air.rule() {
        Rule::SgdNesterov => ("n0", "n1", 16, 31),
        Rule::SgdMomentum => ("b0", "b1", 15, 30),
        _ => ("g0", "g1", 15, 30),
    };
    let argument = read(low, row)? + (read(high, row)? << shift) - (1 << offset);
    let y =
        i128::from(periodic[1]) * argument + (1 << (air.segment().s - 1)) + WRAPS[random.below(4)] * i128::from(ORDER);
    let (u, e) = ((y >> air.segment().s) + (1 << 31), y & ((1 << air.segment().s) - 1));
    for (name, value) in [("u0", u & 0xffff), ("u1", u >> 16), ("e0", e & 0x7fff), ("e1", e >> 15)] {
        if let Some(at) = place(&names, name) {
            row[at] = Val::from_i128(value);
        }
    }
    place(&names, "u0")
}

/// Multiples of p that may be added to a dividend.
const WRAPS: [i128; 4] = [-2, -1, 1, 2];

/// A trace with one change, mended or not.
///
/// # Errors
/// If the segment's constants lie outside their range.
pub fn forged(random: &mut Random, segment: &Segment, trace: &Trace) -> Result<Trace, RuleError> {
    let (air, constants) = Air::new(
        &Variant { rule: segment.rule, s: segment.s, decay: segment.decay, weights_in_range: segment.weights_in_range },
        &segment.steps,
    )?;
    let mut forged = trace.clone();
    let steps = segment.steps.len();
    let parameters = trace.rows.len() / steps;
    let (parameter, step) = (random.below(parameters), random.below(steps));
    let index = parameter * steps + step;
    let states = air.rule().states().len();
    match random.below(12) {
        // The ends, alone.
        0 => {
            let part = random.below(states);
            let ends = if random.once_in(2) { &mut forged.ends.before } else { &mut forged.ends.after };
            ends[parameter][part] = another(random, ends[parameter][part]);
        }
        // Two rows, or two parameters with all that is theirs, change places.
        1 => {
            let other = random.below(trace.rows.len());
            forged.rows.swap(index, other);
        }
        2 => {
            let other = random.below(parameters);
            for step in 0..steps {
                forged.rows.swap(parameter * steps + step, other * steps + step);
            }
            forged.ends.before.swap(parameter, other);
            forged.ends.after.swap(parameter, other);
        }
        // Any cell, unmended.
        3 | 4 => {
            let cell = random.below(forged.rows[index].len());
            forged.rows[index][cell] = another(random, forged.rows[index][cell]);
        }
        // Any cell, limbs, a root or a quotient, the rest of the row mended or not, and the parameter goes on from there.
        kind => {
            let mut row = forged.rows[index].clone();
            let other = match segment.rule {
                Rule::Adam | Rule::AdamW | Rule::Rmsprop => other_root,
                Rule::Lion => other_sign,
                Rule::Sgd | Rule::SgdMomentum | Rule::SgdNesterov => other_quotient,
            };
            let solved = (kind < 8).then(|| other(random, &air, &constants.periodic[step], &mut row)).flatten();
            let cell = match (kind, solved) {
                (_, Some(cell)) => cell,
                (8 | 9, None) => moved_limbs(random, &air, &mut row),
                _ => {
                    let cell = random.below(row.len());
                    row[cell] = another(random, row[cell]);
                    cell
                }
            };
            let period = Periodic::from_array(constants.periodic[step].map(from_signed));
            let next = mend(random, &air, &period, &mut row, cell);
            if step == 0 {
                forged.ends.before[parameter] = row[..states].to_vec();
            }
            forged.rows[index] = row;
            let mut now = next;
            for later in step + 1..steps {
                let row = &mut forged.rows[parameter * steps + later];
                let mut state = [0; 3];
                for (part, value) in state.iter_mut().zip(&now) {
                    *part = to_signed(*value);
                }
                let gradient = constants.periodic[later][0] * random.signed(24);
                match fill_row(&air, &constants.periodic[later], state, gradient, row) {
                    Ok(after) => now = after[..states].iter().map(|part| from_signed(*part)).collect(),
                    Err(_) => break,
                }
            }
            forged.ends.after[parameter] = now;
        }
    }
    Ok(forged)
}

/// Reads one value of a row's relations.
type Read = Box<dyn Fn(&Collected<Val>) -> Val>;

/// Mends a row without touching the cell that was changed; what the states become.
fn mend(random: &mut Random, air: &Air, periodic: &Periodic<Val>, row: &mut [Val], changed: usize) -> Vec<Val> {
    let all = |row: &[Val]| {
        let mut collected = Collected::default();
        evaluate(air, row, periodic, &mut collected);
        collected
    };
    let rounds = if random.once_in(2) { 0 } else { random.below(16) };
    for _ in 0..rounds {
        let now = all(row);
        let zero = now.zeros.iter().position(|value| *value != Val::ZERO);
        let range = now.ranges.iter().position(|value| value.as_canonical_u64() >= 1 << 16);
        let (value, goal, read): (Val, Val, Read) = match (zero, range) {
            (Some(which), _) => (now.zeros[which], Val::ZERO, Box::new(move |all| all.zeros[which])),
            (None, Some(which)) => {
                let goal = Val::from_u64(random.unsigned(16).unsigned_abs());
                (now.ranges[which], goal, Box::new(move |all| all.ranges[which]))
            }
            (None, None) => break,
        };
        // A column in which the value is linear.
        let start = random.below(row.len());
        for offset in 0..row.len() {
            let cell = (start + offset) % row.len();
            if cell == changed {
                continue;
            }
            let old = row[cell];
            row[cell] = old + Val::ONE;
            let slope = read(&all(row)) - value;
            row[cell] = old + Val::TWO;
            let linear = read(&all(row)) - value == slope.double();
            row[cell] = old;
            if linear && slope != Val::ZERO {
                row[cell] = old + (goal - value) * slope.inverse();
                break;
            }
        }
    }
    all(row).nexts
}
