//! The trace of a witness: the states between its ends are computed while it is written, and every row is checked.

use p3_field::{PrimeCharacteristicRing, PrimeField64};
use p3_maybe_rayon::prelude::*;
use zk_autograd_air::trace::{State, fill_row};
use zk_autograd_air::{Collected, Periodic, Val, evaluate, field::from_signed};
use zk_autograd_verifier::Statement;
use zk_autograd_verifier::parameters::LOG_TABLE;

use crate::error::{ProveError, WitnessError};
use crate::memory;
use crate::progress::Progress;
use crate::state::StateSecret;
use crate::words::padded;

/// The secrets of a proof's commitments.
#[derive(Clone)]
pub struct Salts {
    /// Of the state before the segment.
    pub state_in: Vec<StateSecret>,
    /// Of the state after it.
    pub state_out: Vec<StateSecret>,
    /// Of the gradients.
    pub gradient: StateSecret,
}

/// The private part of a proof. The states between follow by the rule.
pub struct Witness<'a> {
    /// For each state its N values before the first step.
    pub start: Vec<&'a [i64]>,
    /// For each state the N values that the steps must lead to.
    pub end: Vec<&'a [i64]>,
    /// T N values, each step's N parameters together.
    pub gradients: &'a [i32],
    /// The secrets of the commitments.
    pub salts: Salts,
}

impl Witness<'_> {
    /// Checks that the lengths are the statement's.
    ///
    /// # Errors
    /// [`ProveError::Usage`] naming what is wrong.
    pub fn check_lengths(&self, statement: &Statement) -> Result<(), ProveError> {
        let shape = &statement.shape;
        let rows = 1_usize << shape.lengths.log_rows();
        let expect = |what: &str, found: usize, expected: usize| {
            if found == expected {
                Ok(())
            } else {
                Err(ProveError::Usage(format!("{what} has {found} values, and the statement asks for {expected}")))
            }
        };
        expect("the list of states before the segment", self.start.len(), shape.states)?;
        expect("the list of states after the segment", self.end.len(), shape.states)?;
        expect("the list of salts before the segment", self.salts.state_in.len(), shape.states)?;
        expect("the list of salts after the segment", self.salts.state_out.len(), shape.states)?;
        for (end, states) in [("before", &self.start), ("after", &self.end)] {
            for (values, name) in states.iter().zip(statement.air.rule().states()) {
                expect(&format!("{name} {end} the segment"), values.len(), 1 << shape.lengths.log_params)?;
            }
        }
        expect("the gradient", self.gradients.len(), rows)
    }
}

/// What is said of the values of a trace.
trait Claims: Sync {
    /// A step's gradient of an element.
    fn gradient(&self, step: usize, element: usize) -> i64;
    /// A state of an element before the first step.
    fn start(&self, state: usize, element: usize) -> i64;
    /// What a state of an element is after a step, if that is said, and the step that it is said of.
    fn after(&self, statement: &Statement, step: usize, state: usize, element: usize) -> Option<(i64, usize)>;
}

impl Claims for Witness<'_> {
    fn gradient(&self, step: usize, element: usize) -> i64 {
        self.gradients[step * self.start[0].len() + element].into()
    }

    fn start(&self, state: usize, element: usize) -> i64 {
        self.start[state][element]
    }

    fn after(&self, statement: &Statement, step: usize, state: usize, element: usize) -> Option<(i64, usize)> {
        let steps = &statement.constants.periodic;
        // No-ops at the end are nobody's steps.
        let last = || steps.iter().rposition(|constants| constants[0] != 0).unwrap_or(step);
        (step + 1 == steps.len()).then(|| (self.end[state][element], last()))
    }
}

/// A witness with all of its states, which may be anybody's: what [`explain`] looks for a lie in.
pub struct Told<'a> {
    /// For each state (T + 1) N values: before the first step, ..., after the last.
    pub states: Vec<&'a [i64]>,
    /// T N values.
    pub gradients: &'a [i64],
}

impl Told<'_> {
    fn params(statement: &Statement) -> usize {
        1 << statement.shape.lengths.log_params
    }
}

impl Claims for (&Statement, &Told<'_>) {
    fn gradient(&self, step: usize, element: usize) -> i64 {
        self.1.gradients[step * Told::params(self.0) + element]
    }

    fn start(&self, state: usize, element: usize) -> i64 {
        self.1.states[state][element]
    }

    fn after(&self, _statement: &Statement, step: usize, state: usize, element: usize) -> Option<(i64, usize)> {
        Some((self.1.states[state][(step + 1) * Told::params(self.0) + element], step))
    }
}

/// Where a witness breaks the rule.
///
/// # Errors
/// [`ProveError::Usage`] for one of other lengths.
pub fn explain(statement: &Statement, told: &Told<'_>) -> Result<Option<WitnessError>, ProveError> {
    let rows = 1_usize << statement.shape.lengths.log_rows();
    let lengths = told.states.iter().all(|values| values.len() == rows + Told::params(statement));
    if told.states.len() != statement.shape.states || !lengths || told.gradients.len() != rows {
        return Err(ProveError::Usage("the states or gradients are not as many as the statement asks for".into()));
    }
    match trace_of(statement, &(statement, told), &Progress::default()) {
        Ok(_) => Ok(None),
        Err(ProveError::Witness(error)) => Ok(Some(error)),
        Err(error) => Err(error),
    }
}

/// The rows of a trace: main columns, multiplicities, the gradient's columns, padding.
pub struct Trace {
    /// Values in a row.
    pub width: usize,
    /// Row by row.
    pub values: Vec<Val>,
}

impl Drop for Trace {
    fn drop(&mut self) {
        memory::give(core::mem::take(&mut self.values));
    }
}

/// Writes the trace and checks every relation on every row.
///
/// # Errors
/// [`ProveError::Witness`] with the first parameter that breaks the rule, [`ProveError::Cancelled`].
pub fn trace(statement: &Statement, witness: &Witness<'_>, progress: &Progress) -> Result<Trace, ProveError> {
    trace_of(statement, witness, progress)
}

fn trace_of(statement: &Statement, claims: &impl Claims, progress: &Progress) -> Result<Trace, ProveError> {
    let shape = &statement.shape;
    let (steps, params) = (1_usize << shape.lengths.log_steps, 1_usize << shape.lengths.log_params);
    let width = padded(shape.main + shape.gradient);
    let mut values = memory::cleared(width << shape.lengths.log_rows());
    let part = (params / 32).max(1);
    let counts = values
        .par_chunks_mut(part * steps * width)
        .enumerate()
        .map(|(chunk, rows)| {
            progress.check()?;
            trace_part(statement, claims, chunk * part, rows, width)
        })
        .try_reduce(
            || vec![0; 1 << LOG_TABLE],
            |mut left, right| {
                for (sum, count) in left.iter_mut().zip(right) {
                    *sum += count;
                }
                Ok(left)
            },
        )?;
    let multiplicity = shape.main - 1;
    for (row, count) in values.chunks_exact_mut(width).zip(counts) {
        row[multiplicity] = Val::from_u32(count);
    }
    Ok(Trace { width, values })
}

fn trace_part(
    statement: &Statement,
    claims: &impl Claims,
    first: usize,
    rows: &mut [Val],
    width: usize,
) -> Result<Vec<u32>, ProveError> {
    let shape = &statement.shape;
    let steps = 1_usize << shape.lengths.log_steps;
    let air = &statement.air;
    let names = air.rule().states();
    let columns = shape.main - 1 + shape.gradient;
    let mut counts = vec![0_u32; 1 << LOG_TABLE];
    let mut row_values = vec![Val::default(); columns];
    let mut relations = Collected::default();
    let periodic: Vec<Periodic<Val>> =
        statement.constants.periodic.iter().map(|step| Periodic::from_array(step.map(from_signed))).collect();
    for (offset, parameter) in rows.chunks_exact_mut(steps * width).enumerate() {
        let element = first + offset;
        let mut state: State = [0; 3];
        for (index, part) in state.iter_mut().enumerate().take(names.len()) {
            *part = claims.start(index, element);
        }
        for (step, row) in parameter.chunks_exact_mut(width).enumerate() {
            let fail_at = |step: usize, what: &str, message: String| {
                ProveError::Witness(WitnessError { step, element, what: what.to_owned(), message })
            };
            let fail = |what: &str, message: String| fail_at(step, what, message);
            let gradient = claims.gradient(step, element);
            let constants = &statement.constants.periodic[step];
            if constants[0] == 0 && gradient != 0 {
                return Err(fail("G", format!("the gradient of a no-op step is {gradient}, and it must be 0")));
            }
            let after = fill_row(air, constants, state, gradient, &mut row_values).map_err(|error| {
                fail(
                    error.quantity,
                    format!("{} is {}, which leaves the range that can be proved", error.quantity, error.value),
                )
            })?;
            relations.clear();
            evaluate(air, &row_values, &periodic[step], &mut relations);
            if let Some(index) = relations.zeros.iter().position(|value| *value != Val::ZERO) {
                let name = zk_autograd_air::describe::describe(air).zeros[index].0;
                return Err(fail(name, format!("the relation {name} does not hold")));
            }
            for (index, value) in relations.ranges.iter().enumerate() {
                let number = value.as_canonical_u64();
                let Some(count) = usize::try_from(number).ok().and_then(|number| counts.get_mut(number)) else {
                    let name = zk_autograd_air::describe::describe(air).ranges[index].0;
                    return Err(fail(name, format!("the value {name} is {number}, outside 0 .. 65536")));
                };
                *count += 1;
            }
            for (index, name) in names.iter().enumerate() {
                let (expected, said) = (after[index], claims.after(statement, step, index, element));
                if let Some((claimed, of)) = said.filter(|(claimed, _)| *claimed != expected) {
                    return Err(fail_at(
                        of,
                        name,
                        format!("the witness says that {name} becomes {claimed}, and the rule gives {expected}"),
                    ));
                }
            }
            state = after;
            let (main, rest) = row.split_at_mut(shape.main - 1);
            main.copy_from_slice(&row_values[..main.len()]);
            rest[1..=shape.gradient].copy_from_slice(&row_values[main.len()..]);
        }
    }
    Ok(counts)
}
