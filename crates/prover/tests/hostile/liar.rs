//! A row under a liar's hands, and what is judged of it.

use core::cell::Cell;

use p3_field::PrimeCharacteristicRing;
use zk_autograd_air::constants::PERIODIC;
use zk_autograd_air::field::{from_signed, to_signed};
use zk_autograd_air::{Air, Rule, StepConstants, Val, Variant};
use zk_autograd_verifier::{Error, Preset, Statement};

use crate::forged::{Broken, Careless, Forged, Lie, column, forge, judge};
use crate::solutions::{int, pair, quotients, roots, wide};
use crate::support::{Choice, Example, Random, constants};

/// A row under a liar's hands.
pub struct Row<'a> {
    pub air: &'a Air,
    pub periodic: &'a [i64; PERIODIC],
    pub values: Vec<Val>,
}

impl Row<'_> {
    pub fn get(&self, name: &str) -> Val {
        self.values[column(self.air, name)]
    }

    pub fn int(&self, name: &str) -> i128 {
        to_signed(self.get(name)).into()
    }

    pub fn set(&mut self, names: &[&str], values: &[Val]) {
        for (name, value) in names.iter().zip(values) {
            self.values[column(self.air, name)] = *value;
        }
    }

    pub fn add(&mut self, name: &str, value: Val) {
        let own = self.get(name);
        self.set(&[name], &[own + value]);
    }

    /// Adds to limbs of an integer, if the limbs can hold it.
    pub fn shift(&mut self, limbs: [&str; 2], bits: u32, by: i128) -> Option<()> {
        let sum = self.int(limbs[0]) + (self.int(limbs[1]) << bits) + by;
        let values = (sum >= 0).then(|| pair(wide(sum), bits)).flatten()?;
        self.set(&limbs, &values);
        Some(())
    }

    pub fn divisor(&self) -> Val {
        self.get("S") + from_signed(self.periodic[2])
    }

    /// Adam's update for the row's first moment and root: as honest as can be.
    pub fn update(&mut self) -> Option<()> {
        let mh = self.get("m0") + self.get("m1") * int(1 << 15) - int(1 << 30);
        let found = quotients(from_signed(self.periodic[1]) * mh, self.divisor());
        self.set(&["u0", "u1", "r0", "r1", "c1"], found.first()?);
        Some(())
    }

    /// Adam's root and update for another second moment.
    pub fn second_moment(&mut self, vn: Val, q: i64) -> Option<()> {
        let found = roots(vn, q);
        let (s, limbs) = found.first()?;
        self.set(&["V*", "S"], &[vn, *s]);
        self.set(&["a0", "a1", "b1"], limbs);
        self.update()
    }

    /// The quotient q of the second moment.
    pub fn q(&self) -> i64 {
        let xh = self.get("x0") + self.get("x1") * int(1 << 16) + self.get("x2") * int(1 << 31) - int(1 << 46);
        to_signed(self.get("V*") - self.get("V") - xh * int(self.air.segment().second))
    }

    /// Another remainder of the update's division: its limbs, or the whole of it in the low one.
    pub fn remainder(&mut self, r: i128) {
        let top = to_signed(self.divisor().double() - Val::ONE);
        let (r0, r1) = if (0..1 << 32).contains(&r) { (r & 0xffff, r >> 16) } else { (r, 0) };
        let c = i128::from(top) - r;
        let c1 = if (0..1 << 32).contains(&c) { c >> 16 } else { 0 };
        self.set(&["r0", "r1", "c1"], &[wide(r0), wide(r1), wide(c1)]);
    }
}

/// The first row of a step for which there is such a lie, the rest honest.
pub fn lie_at(example: &Example, step: usize, lie: impl Fn(&mut Row<'_>) -> Option<()>) -> Forged {
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
pub fn refused(example: &Example, step: usize, broken: &[&'static str], lie: impl Fn(&mut Row<'_>) -> Option<()>) {
    let forged = lie_at(example, step, lie);
    assert_eq!(forged.broken, broken.iter().copied().collect::<Broken>());
    assert!(forged.states != example.states, "{broken:?}: nothing would be won");
    assert_eq!(judge(example, forged, &Careless), Err(Error::Relations), "{broken:?}");
}

pub const TIE: usize = 2;
pub const STEPS: usize = 8;
pub const SMALL: usize = STEPS - 1;

/// `AdamW` with every optional relation. In step TIE a quarter of the rows has an exact tie, in step SMALL D is 1.
pub fn adam() -> Example {
    let mut steps: Vec<StepConstants> = (0..STEPS).map(|step| constants(Rule::AdamW, 0, true, step)).collect();
    for step in &mut steps {
        step.decay = 123_456_789;
    }
    steps[TIE].eps = 2 * steps[TIE].lr;
    steps[SMALL].eps = 1;
    let statement = Statement::new(
        &Variant { rule: Rule::AdamW, s: 0, decay: true, weights_in_range: true },
        Preset::Standard,
        13,
        &steps,
        [7; 32],
    )
    .unwrap();
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

pub fn sgd(rule: Rule, s: u32) -> Example {
    let choice = Choice { rule, s, decay: false, first: false, log_params: 13, steps: STEPS, no_ops: 0 };
    Example::new(&choice, Preset::Standard, 6)
}
