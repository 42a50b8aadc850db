//! The step of every rule as a Plonky3 AIR.
//!
//! A row is one step of one parameter; the steps of a parameter stand under each other, then comes the next parameter. What
//! differs from step to step are periodic columns. Looked-up values go over one bus to the table. Plonky3's lookups can't
//! read periodic columns: Adam's `2 D - 1 - r - 2^16 c1` is a column of its own here, `c0`, and a relation.

use std::borrow::Cow;

use p3_air::{Air, AirBuilder, BaseAir, WindowAccess};
use p3_field::PrimeCharacteristicRing;
use p3_lookup::InteractionBuilder;
use p3_matrix::dense::RowMajorMatrix;
use zk_autograd_air::constants::StepConstants;
use zk_autograd_air::field::from_signed;
use zk_autograd_air::{Rule, Val};

use crate::segment::{BUS, Column, Segment};

/// The states before and after a segment, parameter by parameter: what other proofs say of them.
#[derive(Clone, Debug)]
pub struct Ends {
    /// Before the first step, each parameter's parts together.
    pub before: Vec<Vec<Val>>,
    /// After the last.
    pub after: Vec<Vec<Val>>,
}

/// The rows of the steps.
#[derive(Clone, Debug)]
pub struct Steps {
    segment: Segment,
    width: usize,
    /// Where each column stands.
    places: [usize; Column::NAMES.len()],
    /// active, LR, E, D, then whether the step is the first, and whether it isn't the last.
    periodic: Vec<Vec<Val>>,
    no_ops: bool,
    ends: Option<Ends>,
}

const ACTIVE: usize = 0;
const LR: usize = 1;
const EPS: usize = 2;
const DECAY: usize = 3;
const FIRST: usize = 4;
const NOT_LAST: usize = 5;

impl Steps {
    /// The relations of a segment. With `ends` they say of the first and last step of each parameter that the states there
    /// are those; without, that is left open.
    #[must_use]
    pub fn new(segment: Segment, ends: Option<Ends>) -> Self {
        let column = |value: &dyn Fn(usize, &StepConstants) -> i64| -> Vec<Val> {
            segment.steps.iter().enumerate().map(|(index, step)| from_signed(value(index, step))).collect()
        };
        let last = segment.steps.len() - 1;
        let periodic = vec![
            column(&|_, step| i64::from(!segment.is_no_op(step))),
            column(&|_, step| step.lr),
            column(&|_, step| step.eps),
            column(&|_, step| step.decay),
            column(&|index, _| i64::from(index == 0)),
            column(&|index, _| i64::from(index != last)),
        ];
        let no_ops = segment.steps.iter().any(|step| segment.is_no_op(step));
        let columns = segment.columns();
        let mut places = [usize::MAX; Column::NAMES.len()];
        for (place, column) in columns.iter().enumerate() {
            places[*column as usize] = place;
        }
        Self { segment, width: columns.len(), places, periodic, no_ops, ends }
    }

    /// The segment.
    #[must_use]
    pub fn segment(&self) -> &Segment {
        &self.segment
    }
}

/// The value of limbs: each with the exponent of its weight, less 2^offset.
fn joined<E: PrimeCharacteristicRing>(limbs: &[(E, u32)], offset: u32) -> E {
    let sum = limbs.iter().fold(E::ZERO, |sum, (limb, shift)| sum + limb.clone() * two(*shift));
    sum - two::<E>(offset)
}

fn two<E: PrimeCharacteristicRing>(exponent: u32) -> E {
    E::from_u64(1 << exponent)
}

/// Collects what goes to the table.
struct Ranges<E>(Vec<E>);

impl<E: PrimeCharacteristicRing> Ranges<E> {
    /// Columns of 16 bits.
    fn limbs(&mut self, limbs: impl IntoIterator<Item = E>) {
        self.0.extend(limbs);
    }

    /// A column of 15 bits.
    fn short(&mut self, column: &E) {
        self.0.push(column.clone());
        self.0.push(column.double());
    }

    /// An expression of integers, of 15 bits.
    fn remainder(&mut self, expression: &E) {
        self.0.push(expression.double());
    }
}

impl<AB: AirBuilder<F = Val> + InteractionBuilder> Air<AB> for Steps {
    fn eval(&self, builder: &mut AB) {
        let main = builder.main();
        let row = main.current_slice();
        let periodic: Vec<AB::Expr> = builder.periodic_values().iter().map(|value| (*value).into()).collect();
        let mut ranges = Ranges(Vec::new());

        let at = self.reader::<AB>(row);
        let (g0, g1) = (at(Column::G0), at(Column::G1));
        let g = joined(&[(g0.clone(), 0), (g1.clone(), 15)], 30);
        ranges.limbs([g0, g1]);
        if self.no_ops {
            builder.assert_zero((AB::Expr::ONE - periodic[ACTIVE].clone()) * g.clone());
        }
        let taken = self.taken_by_decay(builder, row, &periodic, &mut ranges);
        let after = match self.segment.rule {
            Rule::Adam | Rule::AdamW => self.adam(builder, row, &periodic, &g, taken, &mut ranges),
            Rule::Lion => self.lion(builder, row, &periodic, &g, taken, &mut ranges),
            Rule::Rmsprop => {
                let (u, new_v) = self.root_and_quotient(builder, row, &periodic, &g, g.clone(), &mut ranges);
                let at = self.reader::<AB>(row);
                vec![at(Column::W) - u - taken, self.kept(&periodic, &at(Column::V), new_v)]
            }
            Rule::Sgd | Rule::SgdMomentum | Rule::SgdNesterov => {
                self.sgd(builder, row, &periodic, &g, taken, &mut ranges)
            }
        };

        for (this, next) in after.iter().zip(main.next_slice()) {
            builder.assert_zero(periodic[NOT_LAST].clone() * (this.clone() - *next));
        }
        if self.ends.is_some() {
            let ends = builder.preprocessed().current_slice().to_vec();
            let (before_ends, after_ends) = ends.split_at(self.segment.states());
            for (this, end) in row.iter().zip(before_ends) {
                builder.assert_zero(periodic[FIRST].clone() * (*this - *end));
            }
            for (this, end) in after.iter().zip(after_ends) {
                builder.assert_zero((AB::Expr::ONE - periodic[NOT_LAST].clone()) * (this.clone() - *end));
            }
        }
        for value in ranges.0 {
            builder.push_interaction(BUS, [value], 1);
        }
    }
}

impl Steps {
    /// Reads a row's columns.
    fn reader<'a, AB: AirBuilder<F = Val>>(&'a self, row: &'a [AB::Var]) -> impl Fn(Column) -> AB::Expr + 'a {
        move |column| row[self.places[column as usize]].into()
    }

    /// What the no-op steps keep: the old value there, the new one elsewhere.
    fn kept<E: PrimeCharacteristicRing>(&self, periodic: &[E], old: &E, new: E) -> E {
        if self.no_ops { old.clone() + periodic[ACTIVE].clone() * (new - old.clone()) } else { new }
    }

    /// R, with the weight's limbs.
    fn taken_by_decay<AB: AirBuilder<F = Val>>(
        &self,
        builder: &mut AB,
        row: &[AB::Var],
        periodic: &[AB::Expr],
        ranges: &mut Ranges<AB::Expr>,
    ) -> AB::Expr {
        if !(self.segment.decay || self.segment.weights_in_range) {
            return AB::Expr::ZERO;
        }
        let at = self.reader::<AB>(row);
        let (h0, h1) = (at(Column::H0), at(Column::H1));
        let upper = joined(&[(h0.clone(), 0), (h1.clone(), 15)], 30);
        let lower = at(Column::W) - upper.clone() * two::<AB::Expr>(15);
        ranges.limbs([h0, h1]);
        if self.segment.weights_in_range {
            ranges.short(&lower);
        } else {
            ranges.remainder(&lower);
        }
        if !self.segment.decay {
            return AB::Expr::ZERO;
        }
        let (d0, d1, d2, rr) = (at(Column::D0), at(Column::D1), at(Column::D2), at(Column::Rr));
        let taken = joined(&[(d0.clone(), 0), (d1.clone(), 16), (d2.clone(), 28)], 43);
        builder.assert_eq(
            periodic[DECAY].clone() * upper + two::<AB::Expr>(14),
            taken.clone() * two::<AB::Expr>(15) + rr.clone(),
        );
        ranges.limbs([d0, d1, d2]);
        ranges.remainder(&rr);
        taken
    }

    /// W', M', V'.
    fn adam<AB: AirBuilder<F = Val>>(
        &self,
        builder: &mut AB,
        row: &[AB::Var],
        periodic: &[AB::Expr],
        g: &AB::Expr,
        taken: AB::Expr,
        ranges: &mut Ranges<AB::Expr>,
    ) -> Vec<AB::Expr> {
        let constants = self.segment.steps[0];
        let c1 = from_signed(constants.c1);
        let at = self.reader::<AB>(row);
        let (w, m, v) = (at(Column::W), at(Column::M), at(Column::V));

        // M' = M + floor((c1 (2^15 G - M) + 2^14) / 2^15); Mh = floor((M' + 2^14) / 2^15)
        let (m0, m1, r2) = (at(Column::M0), at(Column::M1), at(Column::R2));
        let rounded = joined(&[(m0.clone(), 0), (m1.clone(), 15)], 30);
        let new_m = rounded.clone() * two::<AB::Expr>(15) + r2.clone() - two::<AB::Expr>(14);
        let moved = new_m.clone() - m.clone();
        let wanted = (g.clone() * two::<AB::Expr>(15) - m.clone()) * c1 + two::<AB::Expr>(14);
        ranges.limbs([m0, m1]);
        ranges.short(&r2);
        ranges.remainder(&(wanted - moved * two::<AB::Expr>(15)));

        let (u, new_v) = self.root_and_quotient(builder, row, periodic, g, rounded, ranges);
        vec![w - u - taken, self.kept(periodic, &m, new_m), self.kept(periodic, &v, new_v)]
    }

    /// U and V', where U is `numerator` times LR by the root of V' and E: Adam's Mh, or RMSprop's G.
    fn root_and_quotient<AB: AirBuilder<F = Val>>(
        &self,
        builder: &mut AB,
        row: &[AB::Var],
        periodic: &[AB::Expr],
        g: &AB::Expr,
        numerator: AB::Expr,
        ranges: &mut Ranges<AB::Expr>,
    ) -> (AB::Expr, AB::Expr) {
        let c2 = from_signed(self.segment.steps[0].c2);
        let at = self.reader::<AB>(row);
        let v = at(Column::V);

        // V' = V + floor((c2 X + 2^14) / 2^15), X = G G - V = 2^15 Xh + xl
        let (x0, x1, x2, xl) = (at(Column::X0), at(Column::X1), at(Column::X2), at(Column::Xl));
        let new_v = at(Column::NewV);
        let upper = joined(&[(x0.clone(), 0), (x1.clone(), 16), (x2.clone(), 31)], 46);
        builder.assert_eq(g.square() - v.clone(), upper.clone() * two::<AB::Expr>(15) + xl.clone());
        ranges.limbs([x0, x1, x2]);
        ranges.remainder(&xl);
        let q = new_v.clone() - v.clone() - upper * c2;
        ranges.remainder(&(xl * c2 + two::<AB::Expr>(14) - q.clone() * two::<AB::Expr>(15)));

        // S S + a = V', 0 <= a <= 2 S
        let (root, a0, a1, b1) = (at(Column::S), at(Column::A0), at(Column::A1), at(Column::B1));
        let a = a0.clone() + a1.clone() * two::<AB::Expr>(16);
        builder.assert_eq(root.square() + a.clone(), new_v.clone());
        ranges.limbs([a0, a1.clone(), root.double() - a - b1.clone() * two::<AB::Expr>(16), b1.clone()]);
        ranges.limbs([a1 + b1 + q + AB::Expr::ONE]);

        // 2 LR N + D = 2 D U + r, D = S + E, 0 <= r < 2 D
        let (u0, u1, r0, r1) = (at(Column::U0), at(Column::U1), at(Column::R0), at(Column::R1));
        let (c0, c_high) = (at(Column::C0), at(Column::C1));
        let divisor = root + periodic[EPS].clone();
        let u = joined(&[(u0.clone(), 0), (u1.clone(), 16)], 31);
        let r = r0.clone() + r1.clone() * two::<AB::Expr>(16);
        builder.assert_eq(
            (periodic[LR].clone() * numerator).double() + divisor.clone(),
            (divisor.clone() * u.clone()).double() + r.clone(),
        );
        builder.assert_eq(divisor.double() - AB::Expr::ONE - r, c0.clone() + c_high.clone() * two::<AB::Expr>(16));
        ranges.limbs([u0, u1, r0, r1, c0, c_high]);
        (u, new_v)
    }

    /// W', M' of Lion.
    fn lion<AB: AirBuilder<F = Val>>(
        &self,
        builder: &mut AB,
        row: &[AB::Var],
        periodic: &[AB::Expr],
        g: &AB::Expr,
        taken: AB::Expr,
        ranges: &mut Ranges<AB::Expr>,
    ) -> Vec<AB::Expr> {
        let constants = self.segment.steps[0];
        let (one, c1, c2) = (from_signed(1 << 15), from_signed(constants.c1), from_signed(constants.c2));
        let at = self.reader::<AB>(row);
        let m = at(Column::M);

        // C = 2^15 (c1 G + (1 - c1 / 2^15) M); the sign is a root of x^3 - x, and C its product with a positive number
        let mixed = g.clone() * (one * c1) + m.clone() * (one - c1);
        let sign = at(Column::Sg);
        builder.assert_zero(sign.clone() * (sign.clone() - AB::Expr::ONE) * (sign.clone() + AB::Expr::ONE));
        let limbs = [Column::K0, Column::K1, Column::K2, Column::K3].map(&at);
        let size = limbs.iter().rev().fold(AB::Expr::ZERO, |sum, limb| sum * two::<AB::Expr>(16) + limb.clone());
        builder.assert_eq(sign.clone() * (size + AB::Expr::ONE), mixed);
        let [k0, k1, k2, k3] = limbs;
        ranges.limbs([k0, k1, k2]);
        ranges.short(&k3);

        // M' = M + floor((c2 (2^15 G - M) + 2^14) / 2^15)
        let (m0, m1, m2) = (at(Column::M0), at(Column::M1), at(Column::M2));
        let new_m = joined(&[(m0.clone(), 0), (m1.clone(), 16), (m2.clone(), 30)], 45);
        ranges.limbs([m0, m1, m2]);
        let wanted = g.clone() * (one * c2) + m.clone() * (one - c2) + two::<AB::Expr>(14);
        ranges.remainder(&(wanted - new_m.clone() * one));

        vec![at(Column::W) - periodic[LR].clone() * sign - taken, self.kept(periodic, &m, new_m)]
    }

    /// W', and B' where there is one.
    fn sgd<AB: AirBuilder<F = Val>>(
        &self,
        builder: &mut AB,
        row: &[AB::Var],
        periodic: &[AB::Expr],
        g: &AB::Expr,
        taken: AB::Expr,
        ranges: &mut Ranges<AB::Expr>,
    ) -> Vec<AB::Expr> {
        let at = self.reader::<AB>(row);
        let mu = from_signed(self.segment.steps[0].mu);
        // floor((mu x + 2^14) / 2^15) + G = y, where the remainder is looked up
        let decayed = |x: AB::Expr, y: AB::Expr| x * mu + two::<AB::Expr>(14) - (y - g.clone()) * two::<AB::Expr>(15);
        let mut after = Vec::new();
        let mut argument = g.clone();
        if self.segment.rule != Rule::Sgd {
            let (b, b0, b1) = (at(Column::B), at(Column::B0), at(Column::B1));
            let new_b = joined(&[(b0.clone(), 0), (b1.clone(), 15)], 30);
            ranges.limbs([b0, b1]);
            ranges.remainder(&decayed(b.clone(), new_b.clone()));
            after.push(self.kept(periodic, &b, new_b.clone()));
            argument = new_b.clone();
            if self.segment.rule == Rule::SgdNesterov {
                let (n0, n1) = (at(Column::N0), at(Column::N1));
                argument = joined(&[(n0.clone(), 0), (n1.clone(), 16)], 31);
                ranges.limbs([n0, n1]);
                ranges.remainder(&decayed(new_b, argument.clone()));
            }
        }

        // U = floor((LR A + 2^(s-1)) / 2^s)
        let (u0, u1, e0) = (at(Column::U0), at(Column::U1), at(Column::E0));
        let u = joined(&[(u0.clone(), 0), (u1.clone(), 16)], 31);
        let mut rest = e0.clone();
        ranges.limbs([u0, u1]);
        ranges.remainder(&e0);
        if self.segment.s == 30 {
            let e1 = at(Column::E1);
            rest += e1.clone() * two::<AB::Expr>(15);
            ranges.short(&e1);
        }
        let s = self.segment.s;
        builder
            .assert_eq(periodic[LR].clone() * argument + two::<AB::Expr>(s - 1), u.clone() * two::<AB::Expr>(s) + rest);
        after.insert(0, at(Column::W) - u - taken);
        after
    }
}

impl BaseAir<Val> for Steps {
    fn width(&self) -> usize {
        self.width
    }

    fn preprocessed_trace(&self) -> Option<RowMajorMatrix<Val>> {
        let ends = self.ends.as_ref()?;
        let (steps, states) = (self.segment.steps.len(), self.segment.states());
        let rows = ends
            .before
            .iter()
            .zip(&ends.after)
            .flat_map(|(before, after)| (0..steps).flat_map(move |_| before.iter().chain(after).copied()));
        Some(RowMajorMatrix::new(rows.collect(), 2 * states))
    }

    fn preprocessed_width(&self) -> usize {
        if self.ends.is_some() { 2 * self.segment.states() } else { 0 }
    }

    fn preprocessed_next_row_columns(&self) -> Vec<usize> {
        Vec::new()
    }

    fn main_next_row_columns(&self) -> Vec<usize> {
        (0..self.segment.states()).collect()
    }

    fn num_periodic_columns(&self) -> usize {
        self.periodic.len()
    }

    fn periodic_columns(&self) -> Cow<'_, [Vec<Val>]> {
        Cow::Borrowed(&self.periodic)
    }
}
