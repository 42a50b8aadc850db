//! Traces in which one row lies: all that follows from the lie is made to agree with it.

use std::collections::BTreeSet;

use p3_field::{PrimeCharacteristicRing, PrimeField64};
use zk_autograd_air::describe::describe;
use zk_autograd_air::field::{from_signed, to_signed};
use zk_autograd_air::trace::fill_row;
use zk_autograd_air::{Air, Val};
use zk_autograd_prover::prove::prove_tampered;
use zk_autograd_prover::tamper::Tamper;
use zk_autograd_prover::witness::Trace;
use zk_autograd_prover::words::padded;
use zk_autograd_prover::{Proof, Witness};
use zk_autograd_verifier::parameters::LOG_TABLE;
use zk_autograd_verifier::{Error, verify};

use crate::solutions::relations;
use crate::support::Example;

/// A prover that doesn't check itself, and changes nothing else.
pub struct Careless;

impl Tamper for Careless {
    fn checks(&self) -> bool {
        false
    }
}

/// Which relations and lookups of which rows a trace breaks.
pub type Broken = BTreeSet<&'static str>;

/// A trace, the states that it leads through, and what of the relations it breaks.
pub struct Forged {
    pub trace: Trace,
    pub states: Vec<Vec<i64>>,
    pub broken: Broken,
}

/// What a lie makes of a row: the row, gradient included, and perhaps other states after it than the rule's.
pub struct Lie {
    pub row: Vec<Val>,
    pub after: Option<Vec<Val>>,
}

impl From<Vec<Val>> for Lie {
    fn from(row: Vec<Val>) -> Self {
        Self { row, after: None }
    }
}

/// The trace of an example in which `lie` may replace any row, given element, step and the honest row.
pub fn forge(example: &Example, lie: impl Fn(usize, usize, &[Val]) -> Option<Lie>) -> Forged {
    let (statement, shape) = (&example.statement, &example.statement.shape);
    let air = &statement.air;
    let (params, steps) = (1_usize << shape.lengths.log_params, 1_usize << shape.lengths.log_steps);
    let width = padded(shape.main + shape.gradient);
    let mut values = Val::zero_vec(width << shape.lengths.log_rows());
    let mut states = vec![vec![0; params * (steps + 1)]; shape.states];
    let mut counts = vec![0_u64; 1 << LOG_TABLE];
    let names = describe(air);
    let mut broken = Broken::new();
    for element in 0..params {
        let mut state: Vec<Val> = example.states.iter().map(|values| from_signed(values[element])).collect();
        for step in 0..steps {
            for (values, value) in states.iter_mut().zip(&state) {
                values[step * params + element] = to_signed(*value);
            }
            let periodic = &statement.constants.periodic[step];
            let mut row = vec![Val::ZERO; air.columns().len()];
            let mut integers = [0; 3];
            for (integer, value) in integers.iter_mut().zip(&state) {
                *integer = to_signed(*value);
            }
            let gradient = example.gradients[step * params + element];
            let honest = fill_row(air, periodic, integers, gradient.into(), &mut row);
            let lie = lie(element, step, &row);
            assert!(honest.is_ok() || lie.is_some(), "{honest:?}");
            let Lie { row, after } = lie.unwrap_or(Lie::from(row));
            let relations = relations(air, periodic, &row);
            for (zero, (name, _)) in relations.zeros.iter().zip(&names.zeros) {
                if *zero != Val::ZERO {
                    broken.insert(name);
                }
            }
            for (value, (name, _)) in relations.ranges.iter().zip(&names.ranges) {
                match usize::try_from(value.as_canonical_u64()).ok().and_then(|number| counts.get_mut(number)) {
                    Some(count) => *count += 1,
                    None => _ = broken.insert(name),
                }
            }
            let place = &mut values[(element * steps + step) * width..][..width];
            place[..shape.main - 1].copy_from_slice(&row[..shape.main - 1]);
            place[shape.main..shape.main + shape.gradient].copy_from_slice(&row[shape.main - 1..]);
            state = after.unwrap_or(relations.nexts);
        }
        for (values, value) in states.iter_mut().zip(&state) {
            values[steps * params + element] = to_signed(*value);
        }
    }
    for (row, count) in values.chunks_exact_mut(width).zip(counts) {
        row[shape.main - 1] = Val::from_u64(count);
    }
    Forged { trace: Trace { width, values }, states, broken }
}

/// The complete proof of a forged trace, and the verifier's word on it.
pub fn judge(example: &Example, forged: Forged, tamper: &impl Tamper) -> Result<(), Error> {
    let proof = prove_forged(example, forged, tamper);
    verify(&example.statement, &proof.commitments, &proof.bytes)
}

/// The complete proof of a forged trace.
pub fn prove_forged(example: &Example, forged: Forged, tamper: &impl Tamper) -> Proof {
    let params = 1 << example.statement.shape.lengths.log_params;
    let witness = Witness {
        start: forged.states.iter().map(|values| &values[..params]).collect(),
        end: forged.states.iter().map(|values| &values[values.len() - params..]).collect(),
        gradients: &example.gradients,
        salts: example.salts.clone(),
    };
    prove_tampered(&example.statement, &witness, forged.trace, tamper).unwrap()
}

/// The number of a column by its name.
pub fn column(air: &Air, name: &str) -> usize {
    air.columns().iter().position(|column| *column == name).unwrap_or_else(|| panic!("no column {name}"))
}
