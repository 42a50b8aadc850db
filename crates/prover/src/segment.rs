//! The optimizer's table as its prover has it: a trace, the states at both ends, and the coins of
//! all columns.

use p3_maybe_rayon::prelude::*;
use zk_autograd_air::field::to_signed;
use zk_autograd_air::segment::Segment as Fixed;
use zk_autograd_air::{Ext, Val};
use zk_autograd_verifier::segment::{GRADIENT, MAIN};
use zk_autograd_verifier::{Lengths, Shape, Statement};

use crate::coins::Seed;
use crate::error::ProveError;
use crate::gradient;
use crate::state::{StateSecret, States};
use crate::table::{Coins, Witnessed};
use crate::tamper::Tamper;
use crate::witness::{Trace, Witness};
use crate::words::Dft;
use crate::{lookups, memory};

/// A statement with its witness.
pub(crate) struct Segment<'a, T> {
    statement: &'a Statement,
    witness: &'a Witness<'a>,
    /// Until the lookups' columns are made of it.
    trace: Option<Trace>,
    tamper: &'a T,
    seed: Seed,
    gradient_seed: Seed,
}

impl<'a, T: Tamper> Segment<'a, T> {
    pub(crate) fn new(statement: &'a Statement, witness: &'a Witness<'a>, mut trace: Trace, tamper: &'a T) -> Self {
        tamper.trace(&mut trace);
        let (seed, gradient_seed) =
            (seed(statement, witness, &trace), gradient::seed(witness.gradients, &witness.salts.gradient));
        Self { statement, witness, trace: Some(trace), tamper, seed, gradient_seed }
    }
}

impl<T: Tamper> Witnessed for Segment<'_, T> {
    type Table = Statement;

    fn table(&self) -> &Statement {
        self.statement
    }

    fn lines(&self, dft: &Dft, mask: usize) -> Vec<States> {
        let owned = |states: &[&[i64]]| states.iter().map(|values| values.to_vec()).collect::<Vec<_>>();
        let (mut before, mut after) = (owned(&self.witness.start), owned(&self.witness.end));
        self.tamper.states(&mut before, &mut after);
        let commit = |values: &[Vec<i64>], secrets: &[StateSecret]| {
            let list: Vec<(&[i64], &StateSecret)> = values.iter().map(Vec::as_slice).zip(secrets).collect();
            States::new(dft, &list, mask)
        };
        let salts = &self.witness.salts;
        vec![commit(&before, &salts.state_in), commit(&after, &salts.state_out)]
    }

    fn columns(&mut self, round: usize, challenges: &[Ext]) -> Result<Vec<Val>, ProveError> {
        let missing = || ProveError::Internal("the trace is needed in one order".into());
        match (round, challenges) {
            (0, []) => Ok(memory::copied(&self.trace.as_ref().ok_or_else(missing)?.values)),
            (1, [lookup]) => {
                let trace = self.trace.take().ok_or_else(missing)?;
                let (values, total) = lookups::columns(self.statement, &trace, *lookup);
                if total != Ext::default() && self.tamper.checks() {
                    return Err(ProveError::Internal("the lookups don't balance".into()));
                }
                Ok(values)
            }
            _ => Err(missing()),
        }
    }

    fn phase(&self, _round: usize) -> &'static str {
        "LogUp"
    }

    /// The gradient's coins don't depend on the rest of the proof: its commitment is its own.
    fn coins(&self, tree: usize) -> Coins {
        let (seed, masks, salts) = match tree {
            GRADIENT => (&self.gradient_seed, "mask", "salts"),
            MAIN => (&self.seed, "main", "main salts"),
            _ => (&self.seed, "lookups", "lookup salts"),
        };
        Coins { masks: seed.child(masks), salts: seed.child(salts) }
    }

    fn seed(&self) -> &Seed {
        &self.seed
    }
}

/// The seed of a proof's coins: from all secrets, the statement, and all that the coins mask. Its value never changes, whatever is
/// hashed how: for each state the values before all steps and after the last, step by step, and then the gradients.
fn seed(statement: &Statement, witness: &Witness<'_>, trace: &Trace) -> Seed {
    let Lengths { log_params, log_steps, .. } = statement.shape.lengths;
    let mut hasher = blake3::Hasher::new();
    let mut bytes = vec![0; HASHED * size_of::<i64>()];
    for (state, end) in witness.end.iter().enumerate() {
        // The first columns are the states; the rows stand element by element.
        let value = |place: usize| {
            let (step, element) = (place >> log_params, place & ((1 << log_params) - 1));
            to_signed(trace.values[((element << log_steps) + step) * trace.width + state])
        };
        hash(&mut hasher, &mut bytes, 1 << (log_params + log_steps), value);
        hash(&mut hasher, &mut bytes, end.len(), |place| end[place]);
    }
    hash(&mut hasher, &mut bytes, witness.gradients.len(), |place| witness.gradients[place].into());
    let data = hasher.finalize();
    let mut parts: Vec<&[u8]> = vec![data.as_bytes(), &statement.context];
    let place = place(statement);
    parts.push(place.as_bytes());
    parts.extend(witness.salts.state_in.iter().chain(&witness.salts.state_out).map(<[u8; 32]>::as_slice));
    parts.push(&witness.salts.gradient);
    Seed::derive("zk-autograd native proof v1", &parts)
}

/// Values that are hashed together.
const HASHED: usize = 1 << 14;

/// Hashes values by their place, gathered by all cores.
fn hash(hasher: &mut blake3::Hasher, bytes: &mut [u8], count: usize, value: impl Fn(usize) -> i64 + Sync) {
    for first in (0..count).step_by(HASHED) {
        let some = &mut bytes[..size_of::<i64>() * HASHED.min(count - first)];
        let words = some.par_chunks_exact_mut(size_of::<i64>()).with_min_len(1 << 10).enumerate();
        words.for_each(|(at, word)| word.copy_from_slice(&value(first + at).to_le_bytes()));
        hasher.update(some);
    }
}

/// Where a proof stands, as text. It is part of every seed, so it never changes: a proof made again
/// by another version would open the same polynomials elsewhere.
fn place(statement: &Statement) -> String {
    let Fixed { s, decay, weights_in_range, first, second } = statement.air.segment();
    let Shape { lengths, main, gradient, helpers, states, zeros, ranges } = &statement.shape;
    let Lengths { log_params, log_steps, folds, folds_to_states, final_length, queries } = lengths;
    format!(
        "Air {{ rule: {:?}, s: {s}, decay: {decay}, weights_in_range: {weights_in_range}, first: {first}, second: {second} }} \
         {:?} Shape {{ log_params: {log_params}, log_steps: {log_steps}, main: {main}, gradient: {gradient}, helpers: {helpers}, \
         states: {states}, zeros: {zeros}, ranges: {ranges}, folds: {folds:?}, folds_to_states: {folds_to_states}, \
         final_length: {final_length}, queries: {queries} }}",
        statement.air.rule(),
        statement.constants
    )
}
