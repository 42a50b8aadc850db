//! Arguments from Python as the crates' values. What is wrong with one is a `ValueError` that names it.

use std::collections::HashMap;

use pyo3::buffer::{Element, PyBuffer};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use zk_autograd_air::{Rule, Variant};
use zk_autograd_prover::{Salts, StateSecret, Witness};
use zk_autograd_verifier::parameters::{LOG_PARAMS, LOG_ROWS};
use zk_autograd_verifier::sealed::Sealed;
use zk_autograd_verifier::{Commitments, Error, Preset, Statement};

/// A step's constants as a tuple: Adam's c1, c2, LR, E, D or SGD's mu, cg, LR, s, D.
pub type Constants = Vec<(i64, i64, i64, i64, i64)>;

/// A `ValueError`.
#[allow(clippy::needless_pass_by_value)] // for map_err
pub fn invalid(error: impl ToString) -> PyErr {
    PyValueError::new_err(error.to_string())
}

/// The preset of a name.
pub fn preset(name: &str) -> PyResult<Preset> {
    Preset::parse(name)
        .ok_or_else(|| invalid(format!("there is no preset {name:?}: choose \"standard\" or \"strict\"")))
}

/// 2^log, for a size within bounds.
pub fn power(log: usize) -> PyResult<usize> {
    if log <= *LOG_PARAMS.end() && log >= *LOG_PARAMS.start() {
        Ok(1 << log)
    } else {
        Err(invalid(format!("a block has 2^{} to 2^{} parameters, not 2^{log}", LOG_PARAMS.start(), LOG_PARAMS.end())))
    }
}

/// An integer of a buffer.
pub trait Integer: Element + Copy {
    /// Its name in `NumPy`.
    const NAME: &'static str;
    /// Of its bytes, the lowest first.
    fn of(bytes: &[u8]) -> Self;
}

impl Integer for i64 {
    const NAME: &'static str = "int64";
    fn of(bytes: &[u8]) -> Self {
        bytes.iter().rev().fold(0_u64, |number, byte| number << 8 | u64::from(*byte)).cast_signed()
    }
}

impl Integer for i32 {
    const NAME: &'static str = "int32";
    fn of(bytes: &[u8]) -> Self {
        bytes.iter().rev().fold(0_u32, |number, byte| number << 8 | u32::from(*byte)).cast_signed()
    }
}

/// The integers of a buffer, one- or more-dimensional and contiguous, or of bytes.
pub fn buffer<T: Integer>(object: &Bound<'_, PyAny>, count: usize, what: &str) -> PyResult<Vec<T>> {
    let wrong = |found: usize| invalid(format!("{what} has {found} values, and {count} are asked for"));
    if let Ok(numbers) = PyBuffer::<T>::get(object) {
        return if numbers.item_count() == count {
            numbers.to_vec(object.py())
        } else {
            Err(wrong(numbers.item_count()))
        };
    }
    let bytes = PyBuffer::<u8>::get(object)
        .map_err(|_| invalid(format!("{what} is neither bytes nor a contiguous buffer of {}", T::NAME)))?
        .to_vec(object.py())?;
    if bytes.len() != count * size_of::<T>() {
        return Err(wrong(bytes.len() / size_of::<T>()));
    }
    Ok(bytes.chunks_exact(size_of::<T>()).map(T::of).collect())
}

/// A secret of 32 bytes.
pub fn secret(bytes: &[u8]) -> PyResult<StateSecret> {
    bytes.try_into().map_err(|_| invalid(format!("a salt has 32 bytes, not {}", bytes.len())))
}

/// The names of a rule's commitments.
pub fn commitment_names(rule: Rule) -> Vec<String> {
    let ends = |end: &str| rule.states().iter().map(|name| format!("{name}_{end}")).collect::<Vec<_>>();
    let mut names = ends("in");
    names.extend(ends("out"));
    names.push("G".into());
    names
}

/// The commitments of their bytes, in the order of [`commitment_names`].
pub fn commitments(list: &[Vec<u8>], states: usize) -> Result<Commitments, Error> {
    if list.len() != 2 * states + 1 {
        return Err(Error::Statement(format!("the rule has {} commitments, not {}", 2 * states + 1, list.len())));
    }
    let mut all = list.iter().map(|bytes| Sealed::from_bytes(bytes)).collect::<Result<Vec<_>, _>>()?;
    let gradient = all.pop().ok_or(Error::Length)?;
    let state_out = all.split_off(states);
    Ok(Commitments { state_in: all, state_out, gradient })
}

/// The public part of a proof, as Python's positional arguments give it.
pub struct Public<'a> {
    pub rule: &'a str,
    pub s: u32,
    pub preset: &'a str,
    pub decay: bool,
    /// Whether it is the run's first segment: nothing is known of its weights yet.
    pub first: bool,
    pub log_params: usize,
    pub log_steps: usize,
    pub constants: &'a Constants,
    pub context: &'a [u8],
}

impl Public<'_> {
    /// The statement.
    pub fn statement(&self) -> PyResult<Statement> {
        let Self { s, decay, first, log_params, log_steps, constants, context, .. } = *self;
        let rule = Rule::parse(self.rule).map_err(invalid)?;
        let preset = preset(self.preset)?;
        let context: [u8; 32] =
            context.try_into().map_err(|_| invalid(format!("a context has 32 bytes, not {}", context.len())))?;
        if log_steps > *LOG_ROWS.end() || constants.len() != 1 << log_steps {
            let count = constants.len();
            return Err(invalid(format!("{count} constants are given for a segment of 2^{log_steps} steps")));
        }
        let steps = constants.iter().map(|step| rule.step((*step).into(), s)).collect::<Result<Vec<_>, _>>();
        let variant = Variant { rule, s, decay, weights_in_range: first };
        Statement::new(&variant, preset, log_params, &steps.map_err(invalid)?, context).map_err(invalid)
    }
}

/// A rule's states by their names.
pub type States<'py> = HashMap<String, Bound<'py, PyAny>>;

/// The states of a rule in its order, `count` values each.
pub fn states(rule: Rule, given: &States<'_>, count: usize) -> PyResult<Vec<Vec<i64>>> {
    let names = rule.states();
    if given.len() != names.len() {
        return Err(invalid(format!("the rule's states are {}, and {} are given", names.join(", "), given.len())));
    }
    let of = |name: &str| given.get(name).ok_or_else(|| invalid(format!("the state {name} is missing")));
    names.iter().map(|name| buffer(of(name)?, count, name)).collect()
}

/// All that a proof is made of.
#[derive(Clone)]
pub struct Job {
    /// The public part.
    pub statement: Statement,
    /// The states before the segment.
    pub start: Vec<Vec<i64>>,
    /// The states after it.
    pub end: Vec<Vec<i64>>,
    /// The gradients, step by step.
    pub gradients: Vec<i32>,
    /// The secrets.
    pub salts: Salts,
}

impl Job {
    /// Takes the witness from Python.
    pub fn new(
        statement: Statement,
        start: &States<'_>,
        end: &States<'_>,
        gradients: &Bound<'_, PyAny>,
        salts: &HashMap<String, Vec<u8>>,
    ) -> PyResult<Self> {
        let shape = &statement.shape;
        let (params, rows) = (1_usize << shape.lengths.log_params, 1_usize << shape.lengths.log_rows());
        let rule = statement.air.rule();
        let (start, end, names) = (states(rule, start, params)?, states(rule, end, params)?, rule.states());
        let salt = |name: &str| -> PyResult<StateSecret> {
            secret(salts.get(name).ok_or_else(|| invalid(format!("the salt {name} is missing")))?)
        };
        let ends = |end: &str| names.iter().map(|name| salt(&format!("{name}_{end}"))).collect::<PyResult<Vec<_>>>();
        let salts = Salts { state_in: ends("in")?, state_out: ends("out")?, gradient: salt("G")? };
        let gradients = buffer(gradients, rows, "the gradient")?;
        Ok(Self { statement, start, end, gradients, salts })
    }

    /// What the prover takes.
    pub fn witness(&self) -> Witness<'_> {
        Witness {
            start: self.start.iter().map(Vec::as_slice).collect(),
            end: self.end.iter().map(Vec::as_slice).collect(),
            gradients: &self.gradients,
            salts: self.salts.clone(),
        }
    }
}
