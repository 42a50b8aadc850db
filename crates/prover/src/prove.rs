//! The prover, message by message.

use core::sync::atomic::{AtomicBool, Ordering};
use std::sync::Arc;
use std::time::{Duration, Instant};

use p3_matrix::dense::RowMajorMatrix;
use zk_autograd_air::segment::Segment;
use zk_autograd_air::{Ext, Val};
use zk_autograd_verifier::codec::Writer;
use zk_autograd_verifier::composition::OutOfDomain;
use zk_autograd_verifier::parameters::{BATCH_BITS, LOOKUP_BITS, MASK, POINT_BITS, QUERY_BITS};
use zk_autograd_verifier::transcript::Transcript;
use zk_autograd_verifier::verify::{Points, QUOTIENT_COLUMNS, Weights, gradient_value, shifted};
use zk_autograd_verifier::{Commitments, Shape, Statement};

use crate::coins::Seed;
use crate::error::ProveError;
use crate::memory;
use crate::opening::{Opened, batch_states, evaluate, inverse_differences};
use crate::quotient::{self, Columns};
use crate::state::{StateSecret, States, seal};
use crate::tree::Tree;
use crate::witness::{Trace, Witness, trace};
use crate::words::{Dft, Polynomials, Words, masked, words};
use crate::work::grind;
use crate::{fri, lookups};

/// Whether the polynomials hide the witness. Unmasked proofs are for measurements: they verify, and hide nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Masking {
    /// Zero knowledge.
    Full,
    /// None.
    Off,
}

/// How far a proof is, and whether to go on with it.
#[derive(Clone, Default)]
pub struct Progress {
    cancelled: Arc<AtomicBool>,
}

impl Progress {
    /// Asks the prover to end at its next step, well within a second.
    pub fn cancel(&self) {
        self.cancelled.store(true, Ordering::Relaxed);
    }

    /// Whether somebody asked for an end.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.cancelled.load(Ordering::Relaxed)
    }

    /// Whether to go on.
    ///
    /// # Errors
    /// [`ProveError::Cancelled`] if not.
    pub fn check(&self) -> Result<(), ProveError> {
        if self.is_cancelled() { Err(ProveError::Cancelled) } else { Ok(()) }
    }
}

/// How long the parts of a proof took.
#[derive(Clone, Debug, Default)]
pub struct Phases(pub Vec<(&'static str, Duration)>);

/// A proof, the commitments that it speaks of, and what it cost.
#[derive(Clone, Debug)]
pub struct Proof {
    /// The commitments.
    pub commitments: Commitments,
    /// The proof's bytes.
    pub bytes: Vec<u8>,
    /// Time by phase.
    pub phases: Phases,
}

/// What a hostile prover may change, in the order in which it is sent. The honest one changes nothing; tests and attacks implement it.
pub trait Tamper: Sync {
    /// Whether the prover checks itself: what it would find wrong goes no further.
    fn checks(&self) -> bool {
        true
    }
    /// The trace before it is committed to.
    fn trace(&self, _trace: &mut Trace) {}
    /// The states to commit to, before and after.
    fn states(&self, _before: &mut [Vec<i64>], _after: &mut [Vec<i64>]) {}
    /// The committed states: polynomials, words, trees, seals.
    fn committed(&self, _before: &mut States, _after: &mut States) {}
    /// The polynomials of the trace's columns.
    fn polynomials(&self, _polynomials: &mut Polynomials) {}
    /// The commitments that the proof shows.
    fn commitments(&self, _commitments: &mut Commitments) {}
    /// Whether to do the work before the named challenge.
    fn works(&self, _before: &'static str) -> bool {
        true
    }
    /// The lookups' columns, row by row.
    fn lookups(&self, _values: &mut [Val]) {}
    /// The words of the quotient's parts.
    fn quotient(&self, _parts: &mut Words) {}
    /// The values at the out-of-domain point, and that point.
    fn out_of_domain(&self, _values: &mut [Ext], _point: Ext) {}
    /// The word of a layer of the low-degree test, before it is committed to.
    fn layer(&self, _number: usize, _word: &mut [Ext]) {}
    /// The final polynomial.
    fn final_polynomial(&self, _coefficients: &mut [Ext]) {}
}

/// Changes nothing.
pub struct Honest;

impl Tamper for Honest {}

/// A proof of work, or what a hostile prover sends in its place.
pub(crate) fn work(
    transcript: &mut Transcript,
    writer: &mut Writer,
    bits: usize,
    before: &'static str,
    tamper: &impl Tamper,
) {
    if tamper.works(before) {
        writer.value(grind(transcript, bits));
    } else {
        let _ = transcript.work_seed();
        transcript.work(Val::default());
        writer.value(Val::default());
    }
}

/// Proves the statement.
///
/// # Errors
/// [`ProveError`]: a witness of other lengths or that breaks the rule, or an end that was asked for.
pub fn prove(
    statement: &Statement,
    witness: &Witness<'_>,
    masking: Masking,
    progress: &Progress,
) -> Result<Proof, ProveError> {
    witness.check_lengths(statement)?;
    let mut clock = Clock::new();
    let trace = trace(statement, witness, progress)?;
    clock.lap("trace");
    prove_trace(statement, witness, trace, masking, progress, &Honest, clock)
}

/// Proves what a hostile prover makes of a trace.
///
/// # Errors
/// As [`prove`].
pub fn prove_tampered(
    statement: &Statement,
    witness: &Witness<'_>,
    trace: Trace,
    tamper: &impl Tamper,
) -> Result<Proof, ProveError> {
    prove_trace(statement, witness, trace, Masking::Full, &Progress::default(), tamper, Clock::new())
}

struct Clock {
    last: Instant,
    phases: Vec<(&'static str, Duration)>,
}

impl Clock {
    fn new() -> Self {
        Self { last: Instant::now(), phases: Vec::new() }
    }

    fn lap(&mut self, phase: &'static str) {
        let now = Instant::now();
        let spent = now - self.last;
        self.last = now;
        match self.phases.iter_mut().find(|(name, _)| *name == phase) {
            Some((_, total)) => *total += spent,
            None => self.phases.push((phase, spent)),
        }
    }
}

#[allow(clippy::too_many_lines)]
fn prove_trace(
    statement: &Statement,
    witness: &Witness<'_>,
    mut trace: Trace,
    masking: Masking,
    progress: &Progress,
    tamper: &impl Tamper,
    mut clock: Clock,
) -> Result<Proof, ProveError> {
    let shape = &statement.shape;
    let dft = Dft::default();
    let mask = if masking == Masking::Full { MASK } else { 0 };
    let (log_rows, log_words) = (shape.log_rows(), shape.log_row_words());
    let salted = |seed: Seed| Some(seed);

    tamper.trace(&mut trace);
    let seed = seed(statement, witness);
    let copies = |after: bool| -> Vec<Vec<i64>> {
        (0..shape.states)
            .map(|s| {
                if after { witness.after(s, shape.log_params) } else { witness.before(s, shape.log_params) }.to_vec()
            })
            .collect()
    };
    let (mut before, mut after) = (copies(false), copies(true));
    tamper.states(&mut before, &mut after);
    let commit = |values: &[Vec<i64>], secrets: &[StateSecret]| {
        let list: Vec<(&[i64], &StateSecret)> = values.iter().map(Vec::as_slice).zip(secrets).collect();
        States::new(&dft, &list, mask)
    };
    let mut state_in = commit(&before, &witness.salts.state_in);
    let mut state_out = commit(&after, &witness.salts.state_out);
    tamper.committed(&mut state_in, &mut state_out);
    clock.lap("states");
    progress.check()?;

    // The gradient's coins don't depend on the rest of the proof: its commitment is its own.
    let gradient_seed = gradient_seed(witness);
    let matrix = RowMajorMatrix::new(memory::copied(&trace.values), trace.width);
    let mut polynomials = masked(&dft, matrix, shape.main, mask, &seed.child("main"));
    for column in shape.main..shape.main + shape.gradient {
        let mut stream = gradient_seed.child("mask").stream((column - shape.main) as u64);
        for row in 0..mask {
            let coin = stream.value();
            polynomials.high[row * trace.width + column] += coin;
            polynomials.low.values[row * trace.width + column] -= coin;
        }
    }
    tamper.polynomials(&mut polynomials);
    progress.check()?;
    let main_small = quotient::small(&dft, &polynomials, log_rows);
    progress.check()?;
    let main = words(&dft, polynomials);
    progress.check()?;
    clock.lap("LDE");
    progress.check()?;
    let gradient_tree = Tree::new(2 << log_rows, shape.gradient, salted(gradient_seed.child("salts")), |index, out| {
        out.copy_from_slice(&main.row(index)[shape.main..shape.main + shape.gradient]);
    });
    progress.check()?;
    let main_tree = Tree::new(2 << log_rows, shape.main, salted(seed.child("main salts")), |index, out| {
        out.copy_from_slice(&main.row(index)[..shape.main]);
    });
    clock.lap("hashing");
    let mut at_gradient = Vec::new();
    let gradient = seal(gradient_tree.root(), log_words, |point| {
        at_gradient = inverse_differences(log_words, point);
        let values = evaluate(&main, point, &at_gradient, shape.main..shape.main + shape.gradient);
        values[0] + values[1] * gradient_value(Val::default(), Val::new(1))
    });
    clock.lap("openings");
    let own = Commitments { state_in: state_in.sealed.clone(), state_out: state_out.sealed.clone(), gradient };
    let mut commitments = own.clone();
    tamper.commitments(&mut commitments);

    let mut writer = Writer::default();
    let mut transcript = Transcript::new(&statement.transcript_bytes(&commitments));
    let send_root = |transcript: &mut Transcript, writer: &mut Writer, tree: &Tree| {
        transcript.root(&tree.root());
        writer.bytes(&tree.root());
    };
    send_root(&mut transcript, &mut writer, &main_tree);
    work(&mut transcript, &mut writer, LOOKUP_BITS, "of the lookups", tamper);
    let lookup = transcript.challenge();
    clock.lap("proof of work");
    progress.check()?;

    let (mut values, total) = lookups::columns(statement, &trace, lookup);
    drop(trace);
    tamper.lookups(&mut values);
    if total != Ext::default() && tamper.checks() {
        return Err(ProveError::Internal("the lookups don't balance".into()));
    }
    clock.lap("LogUp");
    progress.check()?;
    let pairs = shape.helpers + 1;
    let width = crate::words::padded(2 * pairs);
    let polynomials = masked(&dft, RowMajorMatrix::new(values, width), 2 * pairs, mask, &seed.child("lookups"));
    let helpers_small = quotient::small(&dft, &polynomials, log_rows);
    progress.check()?;
    let helpers = words(&dft, polynomials);
    progress.check()?;
    clock.lap("LDE");
    progress.check()?;
    let helper_tree = Tree::new(2 << log_rows, 2 * pairs, salted(seed.child("lookup salts")), |index, out| {
        out.copy_from_slice(&helpers.row(index)[..2 * pairs]);
    });
    clock.lap("hashing");
    send_root(&mut transcript, &mut writer, &helper_tree);
    let composition = transcript.challenge();

    let columns = Columns { main, main_small, helpers, helpers_small };
    let mut parts = quotient::words_of_parts(
        &dft,
        statement,
        &columns,
        &state_in,
        &state_out,
        lookup,
        composition,
        mask,
        &seed,
        progress,
    )?;
    tamper.quotient(&mut parts);
    clock.lap("quotient");
    progress.check()?;
    let quotient_tree =
        Tree::new(2 << log_rows, QUOTIENT_COLUMNS, salted(seed.child("quotient salts")), |index, out| {
            out.copy_from_slice(&parts.row(index)[..QUOTIENT_COLUMNS]);
        });
    clock.lap("hashing");
    send_root(&mut transcript, &mut writer, &quotient_tree);
    work(&mut transcript, &mut writer, POINT_BITS, "of the point", tamper);
    let point = transcript.challenge();
    let points = Points::new(shape, &own, point).map_err(|error| ProveError::Internal(error.to_string()))?;
    clock.lap("proof of work");

    let at_point = inverse_differences(log_words, points.out_of_domain);
    let at_next = inverse_differences(log_words, points.next);
    progress.check()?;
    let opened = Opened {
        main: &columns.main,
        helpers: &columns.helpers,
        quotient: &parts,
        at_point: &at_point,
        at_next: &at_next,
        at_gradient: &at_gradient,
    };
    let mut values = opened.out_of_domain(statement, &points, &state_in, &state_out);
    tamper.out_of_domain(&mut values, point);
    transcript.elements(&values);
    for value in &values {
        writer.element(*value);
    }
    clock.lap("openings");
    progress.check()?;
    work(&mut transcript, &mut writer, BATCH_BITS, "of the batch", tamper);
    let batch = transcript.challenge();
    clock.lap("proof of work");
    let out_of_domain = OutOfDomain::from_values(&values, statement)
        .ok_or_else(|| ProveError::Internal("the out-of-domain values have another count".into()))?;
    let weights = Weights::new(shape, batch);
    let rows_word = opened.batch(shape, &out_of_domain, commitments.gradient.value, &weights);
    progress.check()?;
    let states_word = batch_states(
        shape,
        [&state_in, &state_out],
        [&out_of_domain.state_in, &out_of_domain.state_out],
        &points,
        &weights,
    );
    clock.lap("openings");
    for differences in [at_point, at_next, at_gradient] {
        memory::give(differences);
    }
    let layers = fri::commit(shape, rows_word, &states_word, &mut transcript, &mut writer, progress, tamper)?;
    clock.lap("FRI");
    work(&mut transcript, &mut writer, QUERY_BITS, "of the queries", tamper);
    let mut indices: Vec<usize> = (0..shape.queries).map(|_| transcript.index(log_words)).collect();
    indices.sort_unstable();
    indices.dedup();
    clock.lap("proof of work");

    let part = |from: usize, to: usize, words: &Words, tree: &Tree, writer: &mut Writer| {
        tree.open(&indices, to - from, |index, out| out.copy_from_slice(&words.row(index)[from..to]), writer);
    };
    part(shape.main, shape.main + shape.gradient, &columns.main, &gradient_tree, &mut writer);
    part(0, shape.main, &columns.main, &main_tree, &mut writer);
    part(0, 2 * pairs, &columns.helpers, &helper_tree, &mut writer);
    part(0, QUOTIENT_COLUMNS, &parts, &quotient_tree, &mut writer);
    let state_indices = shifted(&indices, shape.log_steps);
    for states in [&state_in, &state_out] {
        for (column, tree) in states.trees.iter().enumerate() {
            tree.open(&state_indices, 1, |index, out| out[0] = states.words.row(index)[column], &mut writer);
        }
    }
    let mut bits = 0;
    for layer in &layers {
        bits += layer.log_arity;
        let groups = shifted(&indices, bits);
        layer.tree.open(&groups, 2 << layer.log_arity, |group, out| layer.group(group, out), &mut writer);
    }
    clock.lap("openings");
    Ok(Proof { commitments, bytes: writer.finish(), phases: Phases(clock.phases) })
}

/// The seed of a proof's coins: from all secrets, the statement, and all that the coins mask.
fn seed(statement: &Statement, witness: &Witness<'_>) -> Seed {
    let mut hasher = blake3::Hasher::new();
    for values in witness.states.iter().copied().chain([witness.gradients]) {
        for chunk in values.chunks(4096) {
            let bytes: Vec<u8> = chunk.iter().flat_map(|value| value.to_le_bytes()).collect();
            hasher.update(&bytes);
        }
    }
    let data = hasher.finalize();
    let mut parts: Vec<&[u8]> = vec![data.as_bytes(), &statement.context];
    let place = place(statement);
    parts.push(place.as_bytes());
    parts.extend(witness.salts.state_in.iter().chain(&witness.salts.state_out).map(<[u8; 32]>::as_slice));
    parts.push(&witness.salts.gradient);
    Seed::derive("zk-autograd native proof v1", &parts)
}

/// Where a proof stands, as text. It is part of every seed, so it never changes: a proof made again by another version would
/// open the same polynomials elsewhere.
fn place(statement: &Statement) -> String {
    let Segment { s, decay, weights_in_range, first, second } = statement.air.segment();
    let Shape {
        log_params,
        log_steps,
        main,
        gradient,
        helpers,
        states,
        zeros,
        ranges,
        folds,
        folds_to_states,
        final_length,
        queries,
    } = &statement.shape;
    format!(
        "Air {{ rule: {:?}, s: {s}, decay: {decay}, weights_in_range: {weights_in_range}, first: {first}, second: {second} }} \
         {:?} Shape {{ log_params: {log_params}, log_steps: {log_steps}, main: {main}, gradient: {gradient}, helpers: {helpers}, \
         states: {states}, zeros: {zeros}, ranges: {ranges}, folds: {folds:?}, folds_to_states: {folds_to_states}, \
         final_length: {final_length}, queries: {queries} }}",
        statement.air.rule(),
        statement.constants
    )
}

fn gradient_seed(witness: &Witness<'_>) -> Seed {
    let mut hasher = blake3::Hasher::new();
    for chunk in witness.gradients.chunks(4096) {
        let bytes: Vec<u8> = chunk.iter().flat_map(|value| value.to_le_bytes()).collect();
        hasher.update(&bytes);
    }
    Seed::derive("zk-autograd native gradient v1", &[&witness.salts.gradient, hasher.finalize().as_bytes()])
}
