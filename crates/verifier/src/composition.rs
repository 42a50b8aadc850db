//! The identity that ties everything together, at one point outside the domains.
//!
//! With the composition challenge c, rows of order n = N T, and g the rows' generator, the
//! relations stand in four sums by the rows on which they hold; each is divided by what vanishes
//! there:
//!
//! ```text
//! q0 + X^n q1 = sum c^i everywhere_i / (X^n - 1)
//!             + sum c^j between_j (X^N - g^(N(T-1))) / (X^n - 1)     rows but a line's last
//!             + sum c^k first_k / (X^N - 1)                          a line's first row
//!             + sum c^l last_l / (X^N - g^(N(T-1)))                  a line's last row
//! ```
//!
//! In the optimizer's table a line is a parameter; `between` is `state(g X) - next`, `first` is
//! `state - state_in`, and `last` is `next - state_out(X / g^(T-1))`.

use core::slice;

use p3_field::{Algebra, Field, PrimeCharacteristicRing, TwoAdicField, batch_multiplicative_inverse};
use zk_autograd_air::{Collected, Ext, Val};

use crate::error::Error;
use crate::range;
use crate::table::{Layout, PLACES, Place, Plan, Relations, Row, Table};

/// The relations of a row, weighted, in four sums.
pub struct Sums<'a, E> {
    weights: slice::Iter<'a, E>,
    sums: [E; PLACES],
}

impl<'a, E: Copy> Sums<'a, E> {
    /// Sums with these weights, one for each relation.
    #[inline]
    pub fn new(weights: &'a [E], zero: E) -> Self {
        Self { weights: weights.iter(), sums: [zero; PLACES] }
    }

    /// The sums, by [`Place`].
    #[inline]
    #[must_use]
    pub const fn by_place(&self) -> &[E; PLACES] {
        &self.sums
    }

    /// # Panics
    /// If there are more relations than a [`Plan`] counted: none goes unweighed.
    #[inline]
    fn weight(&mut self) -> E {
        *self.weights.next().expect("as many weights as relations")
    }
}

impl<V, E: Algebra<V> + Copy> Relations<V, E> for Sums<'_, E> {
    #[inline]
    fn base(&mut self, place: Place, value: V) {
        let weight = self.weight();
        self.sums[place as usize] += weight * value;
    }

    #[inline]
    fn extension(&mut self, place: Place, value: E) {
        let weight = self.weight();
        self.sums[place as usize] += value * weight;
    }

    /// The row's side; the column's is the same for all of a line, and is taken away apart.
    #[inline]
    fn tied(&mut self, place: Place, value: V, _opening: usize) {
        self.base(place, value);
    }
}

/// Checks the identity at `point`. `claims` are the openings' values, `challenges` those of all
/// rounds.
///
/// # Errors
/// [`Error::Point`] if a divisor vanishes there, [`Error::Relations`] if the identity doesn't hold.
pub fn check<T: Table>(
    table: &T,
    layout: &Layout,
    claims: &[Ext],
    challenges: &[Ext],
    point: Ext,
) -> Result<(), Error> {
    let Some((composition, challenges)) = challenges.split_last() else { return Err(Error::Relations) };
    if claims.len() != layout.openings.len() {
        return Err(Error::Relations);
    }
    let lengths = table.lengths();
    let periodic = periodic_at(&table.periodic(), lengths.log_params, point).ok_or(Error::Point)?;
    let read = |list: &[usize]| -> Vec<Ext> { list.iter().map(|opening| claims[*opening]).collect() };
    let (base, extension) = (read(&layout.base), read(&layout.extension));
    let range = range::evaluate(lengths.log_rows(), point);
    let row = Row { base: &base, extension: &extension, periodic: &periodic, range };

    let plan = Plan::new(table, layout);
    layout.check_ties(&plan.ties, lengths)?;
    let weights: Vec<Ext> = composition.powers().take(plan.relations).collect();
    let mut sums = Sums::new(&weights, Ext::ZERO);
    table.relations(&row, challenges, &mut Collected::default(), &mut sums);
    if sums.weights.len() > 0 {
        return Err(Error::Relations); // fewer relations than the plan counted
    }
    let mut sums = *sums.by_place();
    for tie in &plan.ties {
        sums[tie.place as usize] -= weights[tie.relation] * claims[tie.opening];
    }

    let rows = point.exp_power_of_2(lengths.log_rows());
    let params = point.exp_power_of_2(lengths.log_params);
    let last = last_rows(lengths.log_params, lengths.log_steps);
    let on_rows = (rows - Ext::ONE).try_inverse().ok_or(Error::Point)?;
    let on_first = (params - Ext::ONE).try_inverse().ok_or(Error::Point)?;
    let on_last = (params - last).try_inverse().ok_or(Error::Point)?;
    let divisors = [on_rows, (params - last) * on_rows, on_first, on_last];
    let total: Ext = sums.iter().zip(divisors).map(|(sum, divisor)| *sum * divisor).sum();

    if total == quotient(layout, claims, rows)? { Ok(()) } else { Err(Error::Relations) }
}

/// `q0 + X^n q1` from the claims of the quotient's two parts.
fn quotient(layout: &Layout, claims: &[Ext], rows: Ext) -> Result<Ext, Error> {
    let own = layout.openings.iter().zip(claims).filter(|(opening, _)| opening.tree == layout.quotient);
    let parts: Vec<Ext> = own.map(|(_, claim)| *claim).collect();
    let [low, high] = parts.try_into().map_err(|_| Error::Relations)?;
    Ok(low + rows * high)
}

/// `x^N` on the last rows of all lines: `g^(N(T-1))`, with g the rows' generator.
#[must_use]
pub fn last_rows(log_params: usize, log_steps: usize) -> Val {
    let steps = Val::two_adic_generator(log_steps);
    debug_assert_eq!(Val::two_adic_generator(log_params + log_steps).exp_power_of_2(log_params), steps);
    steps.inverse()
}

/// The periodic columns at a point: on the rows they depend on the place within the line alone,
/// which is x^N. `None` if x^N is such a place.
#[must_use]
pub fn periodic_at(periodic: &[Vec<Val>], log_params: usize, point: Ext) -> Option<Vec<Ext>> {
    let Some(first) = periodic.first() else { return Some(Vec::new()) };
    let y = point.exp_power_of_2(log_params);
    let count = periodic.len();
    let log_steps = count.trailing_zeros() as usize;
    // Lagrange's polynomials on a subgroup: l_i(y) = (y^T - 1) / T * w^i / (y - w^i).
    let roots: Vec<Val> = Val::two_adic_generator(log_steps).powers().take(count).collect();
    let differences: Vec<Ext> = roots.iter().map(|root| y - *root).collect();
    if differences.contains(&Ext::ZERO) {
        return None;
    }
    let inverses = batch_multiplicative_inverse(&differences);
    let scale = (y.exp_power_of_2(log_steps) - Ext::ONE) * Val::ONE.div_2exp_u64(log_steps as u64);
    let mut sums = vec![Ext::ZERO; first.len()];
    for ((values, root), inverse) in periodic.iter().zip(roots).zip(inverses) {
        let weight = inverse * root * scale;
        for (sum, value) in sums.iter_mut().zip(values) {
            *sum += weight * *value;
        }
    }
    Some(sums)
}
