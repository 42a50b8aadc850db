//! Limbs that make up for each other, and rows in other places than theirs.

use p3_field::{Field, PrimeCharacteristicRing, PrimeField64};
use zk_autograd_air::field::to_signed;
use zk_autograd_air::{Rule, StepConstants, Val};
use zk_autograd_verifier::{Error, Preset, Statement};

use crate::forged::{Broken, Careless, Lie, column, forge, judge};
use crate::liar::{STEPS, adam, lie_at};
use crate::solutions::int;
use crate::support::{Choice, Example, no_op};

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
            |element, step| other.gradients[(step << 13) + element].into(),
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
