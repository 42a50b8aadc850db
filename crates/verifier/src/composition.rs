//! The identity that ties everything together, at one point outside the domains.
//!
//! With the composition challenge c, rows of order n = N T, and g the rows' generator:
//!
//! ```text
//! q0 + X^n q1 = sum c^i relation_i / (X^n - 1)
//!             + sum c^j (state(g X) - next) (X^N - g^(N(T-1))) / (X^n - 1)     rows but a parameter's last
//!             + sum c^k (state - state_in) / (X^N - 1)                         a parameter's first row
//!             + sum c^l (next - state_out(X / g^(T-1))) / (X^N - g^(N(T-1)))   a parameter's last row
//! ```

use p3_field::{Field, PrimeCharacteristicRing, TwoAdicField, batch_multiplicative_inverse};
use zk_autograd_air::constants::{PERIODIC, SegmentConstants};
use zk_autograd_air::field::from_signed;
use zk_autograd_air::{Collected, Ext, Periodic, Val, evaluate};

use crate::error::Error;
use crate::lookups;
use crate::statement::Statement;
use crate::table;

/// What a proof says of its polynomials at the out-of-domain point z.
#[derive(Clone, Debug)]
pub struct OutOfDomain {
    /// The main columns at z.
    pub main: Vec<Ext>,
    /// The gradient's columns at z.
    pub gradient: Vec<Ext>,
    /// The helper columns at z.
    pub helpers: Vec<Ext>,
    /// The running sum at z.
    pub sum: Ext,
    /// The two parts of the quotient at z.
    pub quotient: [Ext; 2],
    /// The states' columns at g z.
    pub next_states: Vec<Ext>,
    /// The running sum at g z.
    pub next_sum: Ext,
    /// The states before the segment at z.
    pub state_in: Vec<Ext>,
    /// The states after the segment at z / g^(T-1).
    pub state_out: Vec<Ext>,
}

impl OutOfDomain {
    /// Takes the values apart, in the order in which a proof holds them. `None` for another count.
    #[must_use]
    pub fn from_values(values: &[Ext], statement: &Statement) -> Option<Self> {
        let shape = &statement.shape;
        let mut rest = values.iter().copied();
        let mut take = |count: usize| -> Option<Vec<Ext>> {
            let part: Vec<Ext> = rest.by_ref().take(count).collect();
            (part.len() == count).then_some(part)
        };
        let main = take(shape.main)?;
        let gradient = take(shape.gradient)?;
        let helpers = take(shape.helpers)?;
        let sum = *take(1)?.first()?;
        let quotient = take(2)?.try_into().ok()?;
        let next_states = take(shape.states)?;
        let next_sum = *take(1)?.first()?;
        let state_in = take(shape.states)?;
        let state_out = take(shape.states)?;
        rest.next().is_none().then_some(Self {
            main,
            gradient,
            helpers,
            sum,
            quotient,
            next_states,
            next_sum,
            state_in,
            state_out,
        })
    }
}

/// Checks the identity at `point`.
///
/// # Errors
/// [`Error::Point`] if a divisor vanishes there, [`Error::Relations`] if the identity doesn't hold.
pub fn check(
    statement: &Statement,
    values: &OutOfDomain,
    lookup: Ext,
    composition: Ext,
    point: Ext,
) -> Result<(), Error> {
    let shape = &statement.shape;
    let mut columns = values.main.clone();
    let multiplicity = columns.pop().ok_or(Error::Relations)?;
    columns.extend_from_slice(&values.gradient);
    let periodic = periodic_at(&statement.constants, shape.log_params, point).ok_or(Error::Point)?;
    let mut row = Collected::default();
    evaluate(&statement.air, &columns, &periodic, &mut row);

    let rows = point.exp_power_of_2(shape.log_rows());
    let params = point.exp_power_of_2(shape.log_params);
    let last = last_rows(shape.log_params, shape.log_steps);
    let on_rows = (rows - Ext::ONE).try_inverse().ok_or(Error::Point)?;
    let on_first = (params - Ext::ONE).try_inverse().ok_or(Error::Point)?;
    let on_last = (params - last).try_inverse().ok_or(Error::Point)?;

    let mut weight = Ext::ONE;
    let mut weighted = |value: Ext| {
        let term = weight * value;
        weight *= composition;
        term
    };
    let mut everywhere = Ext::ZERO;
    for zero in &row.zeros {
        everywhere += weighted(*zero);
    }
    let table = table::evaluate(shape.log_rows(), point);
    lookups::relations(
        &row.ranges,
        table,
        multiplicity,
        &values.helpers,
        values.sum,
        values.next_sum,
        lookup,
        |value| everywhere += weighted(value),
    );
    let mut total = everywhere * on_rows;
    let mut between = Ext::ZERO;
    for (next, claimed) in row.nexts.iter().zip(&values.next_states) {
        between += weighted(*claimed - *next);
    }
    total += between * (params - last) * on_rows;
    let mut first = Ext::ZERO;
    for (column, state) in columns.iter().zip(&values.state_in) {
        first += weighted(*column - *state);
    }
    total += first * on_first;
    let mut end = Ext::ZERO;
    for (next, state) in row.nexts.iter().zip(&values.state_out) {
        end += weighted(*next - *state);
    }
    total += end * on_last;

    if total == values.quotient[0] + rows * values.quotient[1] { Ok(()) } else { Err(Error::Relations) }
}

/// `x^N` on the last rows of all parameters: `g^(N(T-1))`, with g the rows' generator.
#[must_use]
pub fn last_rows(log_params: usize, log_steps: usize) -> Val {
    let steps = Val::two_adic_generator(log_steps);
    debug_assert_eq!(Val::two_adic_generator(log_params + log_steps).exp_power_of_2(log_params), steps);
    steps.inverse()
}

/// The periodic columns at a point: on the rows they depend on the step alone, which is x^N. `None` if x^N is a step.
#[must_use]
pub fn periodic_at(constants: &SegmentConstants, log_params: usize, point: Ext) -> Option<Periodic<Ext>> {
    let y = point.exp_power_of_2(log_params);
    let count = constants.periodic.len();
    let log_steps = count.trailing_zeros() as usize;
    // Lagrange's polynomials on a subgroup: l_i(y) = (y^T - 1) / T * w^i / (y - w^i).
    let roots: Vec<Val> = Val::two_adic_generator(log_steps).powers().take(count).collect();
    let differences: Vec<Ext> = roots.iter().map(|root| y - *root).collect();
    if differences.contains(&Ext::ZERO) {
        return None;
    }
    let inverses = batch_multiplicative_inverse(&differences);
    let scale = (y.exp_power_of_2(log_steps) - Ext::ONE) * Val::ONE.div_2exp_u64(log_steps as u64);
    let mut sums = [Ext::ZERO; PERIODIC];
    for ((values, root), inverse) in constants.periodic.iter().zip(roots).zip(inverses) {
        let weight = inverse * root;
        for (sum, value) in sums.iter_mut().zip(values) {
            *sum += weight * from_signed(*value);
        }
    }
    Some(Periodic::from_array(sums.map(|sum| sum * scale)))
}
