//! The verifier.
//!
//! The steps, numbered in the code:
//! 1. Rebuild the transcript from the statement; read the prover's messages and draw the challenges.
//! 2. Check the identity of the relations at the out-of-domain point.
//! 3. Read the openings at the queried indices, and check their Merkle paths.
//! 4. Follow each query through the folds to the final polynomial.
//!
//! That the commitments are those of the records, and that the segments chain, is left to the caller.

use p3_field::{Field, PrimeCharacteristicRing, TwoAdicField};
use zk_autograd_air::{Ext, Val};

use crate::codec::{Reader, extension};
use crate::composition::{self, OutOfDomain};
use crate::error::Error;
use crate::fri;
use crate::merkle::{Digest, check_opening, leaf};
use crate::parameters::{BATCH_BITS, FOLD_BITS, LOG_FINAL_DOMAIN, LOOKUP_BITS, POINT_BITS, QUERY_BITS, SALT_BYTES};
use crate::sealed::{Sealed, is_base};
use crate::shape::Shape;
use crate::statement::{Commitments, Statement};
use crate::transcript::Transcript;

/// Base columns of the quotient's tree: two parts and the mask of the batch, all over the extension.
pub const QUOTIENT_COLUMNS: usize = 6;

/// The shift of the coset on which columns are committed: no point of it lies in a domain.
pub const SHIFT: Val = Val::GENERATOR;

/// The points at which columns are opened, and the sealed values.
#[derive(Clone, Debug)]
pub struct Points {
    /// z.
    pub out_of_domain: Ext,
    /// g z, with g the rows' generator.
    pub next: Ext,
    /// z / g^(T-1).
    pub last: Ext,
    /// The gradient's sealing point.
    pub gradient: Ext,
    /// The sealing points of the states before the segment.
    pub state_in: Vec<Ext>,
    /// The sealing points of the states after it.
    pub state_out: Vec<Ext>,
}

impl Points {
    /// The points that go with z.
    ///
    /// # Errors
    /// [`Error::Commitment`] if a commitment's proof of work is missing.
    pub fn new(shape: &Shape, commitments: &Commitments, out_of_domain: Ext) -> Result<Self, Error> {
        let generator = Val::two_adic_generator(shape.log_rows());
        let sealing = |list: &[Sealed], name| -> Result<Vec<Ext>, Error> {
            list.iter().map(|sealed| sealed.point(shape.log_state_words(), name)).collect()
        };
        let steps = (1_u64 << shape.log_steps) - 1;
        Ok(Self {
            out_of_domain,
            next: out_of_domain * generator,
            last: out_of_domain * generator.inverse().exp_u64(steps),
            gradient: commitments.gradient.point(shape.log_row_words(), "of the gradient")?,
            state_in: sealing(&commitments.state_in, "of a state before the segment")?,
            state_out: sealing(&commitments.state_out, "of a state after the segment")?,
        })
    }
}

/// Checks that `proof` is a proof of the statement with these commitments.
///
/// # Errors
/// [`Error`] if it isn't, whatever the bytes are.
pub fn verify(statement: &Statement, commitments: &Commitments, proof: &[u8]) -> Result<(), Error> {
    let shape = &statement.shape;
    if commitments.state_in.len() != shape.states || commitments.state_out.len() != shape.states {
        return Err(Error::Statement(format!("the rule has {} states", shape.states)));
    }
    // 1. Messages and challenges.
    let mut reader = Reader::new(proof);
    let messages = Messages::read(&mut reader, statement, commitments)?;
    let Messages { layers, indices, final_polynomial, .. } = &messages;

    // 2. The relations.
    let out_of_domain = OutOfDomain::from_values(&messages.values, statement).ok_or(Error::Length)?;
    composition::check(statement, &out_of_domain, messages.lookup, messages.composition, messages.point)?;

    // 3. The openings.
    let points = Points::new(shape, commitments, messages.point)?;
    let mut open = |root: &Digest, log_size: usize, at: &[usize], width: usize, salt: usize, name: &'static str| {
        open_rows(&mut reader, root, log_size, at, width, salt, name)
    };
    let log_size = shape.log_row_words();
    let gradient = open(&commitments.gradient.root, log_size, indices, shape.gradient, SALT_BYTES, "gradient")?;
    let main = open(&messages.main_root, log_size, indices, shape.main, SALT_BYTES, "main")?;
    let helpers = open(&messages.helper_root, log_size, indices, 2 * (shape.helpers + 1), SALT_BYTES, "lookups")?;
    let quotient = open(&messages.quotient_root, log_size, indices, QUOTIENT_COLUMNS, SALT_BYTES, "quotient")?;
    let state_indices = shifted(indices, shape.log_steps);
    let mut states = Vec::with_capacity(2 * shape.states);
    for (list, name) in [(&commitments.state_in, "state before"), (&commitments.state_out, "state after")] {
        for sealed in list {
            states.push(open(&sealed.root, shape.log_state_words(), &state_indices, 1, SALT_BYTES, name)?);
        }
    }
    let mut folded_bits = 0;
    let mut folds = Vec::with_capacity(layers.len());
    for ((root, _), log_arity) in layers.iter().zip(&shape.folds) {
        let groups = shifted(indices, folded_bits + log_arity);
        let depth = log_size - folded_bits - log_arity;
        let rows = open(root, depth, &groups, 2 << log_arity, 0, "low-degree test")?;
        folds.push((groups, rows));
        folded_bits += log_arity;
    }
    reader.end()?;

    // 4. The queries.
    let batcher = Batcher::new(shape, commitments, &out_of_domain, points, messages.batch);
    let state_words: Vec<Ext> = state_indices
        .iter()
        .enumerate()
        .map(|(row, index)| {
            let opened: Vec<Val> = states.iter().map(|rows| rows.row(row)[0]).collect();
            batcher.states(*index, &opened)
        })
        .collect();
    let state_word = |index: usize| -> Result<Ext, Error> {
        let place = state_indices.binary_search(&(index >> shape.log_steps)).map_err(|_| Error::Length)?;
        Ok(state_words[place])
    };
    for (row, index) in indices.iter().enumerate() {
        let mut value = batcher.rows(*index, gradient.row(row), main.row(row), helpers.row(row), quotient.row(row));
        if shape.folds_to_states == 0 {
            value += state_word(*index)?;
        }
        let mut log_word = log_size;
        let mut position = *index;
        for (layer, (((_, challenge), log_arity), (groups, rows))) in
            layers.iter().zip(&shape.folds).zip(&folds).enumerate()
        {
            let group = position >> log_arity;
            let place = groups.binary_search(&group).map_err(|_| Error::Fold(layer))?;
            let word: Vec<Ext> = rows.row(place).chunks_exact(2).map(|pair| extension(pair[0], pair[1])).collect();
            if word.get(position & ((1 << log_arity) - 1)) != Some(&value) {
                return Err(Error::Fold(layer));
            }
            value = fri::fold_group(&word, group, log_word, *challenge);
            if layer + 1 == shape.folds_to_states {
                value += challenge.exp_power_of_2(*log_arity) * state_word(*index)?;
            }
            log_word -= log_arity;
            position = group;
        }
        if horner_ext(final_polynomial, fri::point(position, LOG_FINAL_DOMAIN)) != value {
            return Err(Error::FinalPolynomial);
        }
    }
    Ok(())
}

/// What the prover sends before the openings, and the challenges that it gets.
struct Messages {
    main_root: Digest,
    lookup: Ext,
    helper_root: Digest,
    composition: Ext,
    quotient_root: Digest,
    point: Ext,
    values: Vec<Ext>,
    batch: Ext,
    /// Root and challenge of each fold.
    layers: Vec<(Digest, Ext)>,
    final_polynomial: Vec<Ext>,
    /// Sorted and distinct.
    indices: Vec<usize>,
}

impl Messages {
    fn read(reader: &mut Reader<'_>, statement: &Statement, commitments: &Commitments) -> Result<Self, Error> {
        let shape = &statement.shape;
        let mut transcript = Transcript::new(&statement.transcript_bytes(commitments));
        let main_root = take_root(reader, &mut transcript)?;
        take_work(reader, &mut transcript, LOOKUP_BITS, "of the lookups")?;
        let lookup = transcript.challenge();
        let helper_root = take_root(reader, &mut transcript)?;
        let composition = transcript.challenge();
        let quotient_root = take_root(reader, &mut transcript)?;
        take_work(reader, &mut transcript, POINT_BITS, "of the point")?;
        let point = transcript.challenge();
        if is_base(&point) {
            return Err(Error::Point);
        }
        let values = reader.elements(shape.out_of_domain())?;
        transcript.elements(&values);
        take_work(reader, &mut transcript, BATCH_BITS, "of the batch")?;
        let batch = transcript.challenge();
        let mut layers = Vec::with_capacity(shape.folds.len());
        for _ in &shape.folds {
            let root = take_root(reader, &mut transcript)?;
            take_work(reader, &mut transcript, FOLD_BITS, "of a fold")?;
            layers.push((root, transcript.challenge()));
        }
        let final_polynomial = reader.elements(shape.final_length)?;
        transcript.elements(&final_polynomial);
        take_work(reader, &mut transcript, QUERY_BITS, "of the queries")?;
        let mut indices: Vec<usize> = (0..shape.queries).map(|_| transcript.index(shape.log_row_words())).collect();
        indices.sort_unstable();
        indices.dedup();
        Ok(Self {
            main_root,
            lookup,
            helper_root,
            composition,
            quotient_root,
            point,
            values,
            batch,
            layers,
            final_polynomial,
            indices,
        })
    }
}

/// Joins the opened values of a query into the words that the low-degree test folds.
pub struct Batcher<'a> {
    shape: &'a Shape,
    points: Points,
    weights: Weights,
    at_point: Ext,
    at_next: Ext,
    sealed_gradient: Ext,
    state_values: Vec<(Ext, Ext)>,
}

/// The powers of the batch challenge, by what they stand before. The mask stands before 1.
#[derive(Clone, Debug)]
pub struct Weights {
    /// Main columns, gradient, helpers with the running sum, and the quotient's parts: at z.
    pub point: Vec<Ext>,
    /// States and the running sum: at g z.
    pub next: Vec<Ext>,
    /// The gradient at its sealing point.
    pub gradient: Ext,
    /// For each state before, then after, the segment: at its out-of-domain point, and where it is sealed.
    pub states: Vec<(Ext, Ext)>,
}

impl Weights {
    /// The powers for a shape.
    #[must_use]
    pub fn new(shape: &Shape, batch: Ext) -> Self {
        let mut power = Ext::ONE;
        let mut next_power = || {
            power *= batch;
            power
        };
        let at_point = shape.main + shape.gradient + shape.helpers + 1 + 2;
        Self {
            point: (0..at_point).map(|_| next_power()).collect(),
            next: (0..=shape.states).map(|_| next_power()).collect(),
            gradient: next_power(),
            states: (0..2 * shape.states).map(|_| (next_power(), next_power())).collect(),
        }
    }
}

impl<'a> Batcher<'a> {
    /// Prepares what is the same for all queries.
    #[must_use]
    pub fn new(shape: &'a Shape, commitments: &Commitments, values: &OutOfDomain, points: Points, batch: Ext) -> Self {
        let weights = Weights::new(shape, batch);
        let at_point = values
            .main
            .iter()
            .chain(&values.gradient)
            .chain(&values.helpers)
            .chain([&values.sum])
            .chain(&values.quotient);
        let at_next = values.next_states.iter().chain([&values.next_sum]);
        let state_values = values
            .state_in
            .iter()
            .zip(&commitments.state_in)
            .chain(values.state_out.iter().zip(&commitments.state_out))
            .map(|(value, sealed)| (*value, sealed.value))
            .collect();
        Self {
            shape,
            at_point: dot(&weights.point, at_point.copied()),
            at_next: dot(&weights.next, at_next.copied()),
            sealed_gradient: commitments.gradient.value,
            points,
            weights,
            state_values,
        }
    }

    /// The rows' word at an index.
    #[must_use]
    pub fn rows(&self, index: usize, gradient: &[Val], main: &[Val], helpers: &[Val], quotient: &[Val]) -> Ext {
        let x = SHIFT * fri::point(index, self.shape.log_row_words());
        let extensions: Vec<Ext> =
            helpers.chunks_exact(2).chain(quotient.chunks_exact(2)).map(|pair| extension(pair[0], pair[1])).collect();
        let Some((mask, joined)) = extensions.split_last() else { return Ext::ZERO };
        let columns = main.iter().chain(gradient).map(|value| Ext::from(*value)).chain(joined.iter().copied());
        let here = dot(&self.weights.point, columns);
        let sum = joined.get(self.shape.helpers).copied().unwrap_or(Ext::ZERO);
        let states = main.iter().take(self.shape.states).map(|value| Ext::from(*value));
        let next = dot(&self.weights.next, states.chain([sum]));
        let sealed = gradient_value(gradient[0], gradient[1]);
        *mask
            + divided(here - self.at_point, x, self.points.out_of_domain)
            + divided(next - self.at_next, x, self.points.next)
            + divided(self.weights.gradient * (Ext::from(sealed) - self.sealed_gradient), x, self.points.gradient)
    }

    /// The states' word at an index of theirs. `opened` are the states before, then after, the segment.
    #[must_use]
    pub fn states(&self, index: usize, opened: &[Val]) -> Ext {
        let x = SHIFT * fri::point(index, self.shape.log_state_words());
        let mut total = Ext::ZERO;
        let sealing = self.points.state_in.iter().chain(&self.points.state_out);
        for (i, (((value, (claimed, sealed)), (weight, seal_weight)), seal)) in
            opened.iter().zip(&self.state_values).zip(&self.weights.states).zip(sealing).enumerate()
        {
            let point = if i < self.shape.states { self.points.out_of_domain } else { self.points.last };
            total += divided(*weight * (Ext::from(*value) - *claimed), x, point);
            total += divided(*seal_weight * (Ext::from(*value) - *sealed), x, *seal);
        }
        total
    }
}

/// The value that seals a gradient: of `g0 + 2^15 g1`, which is G + 2^30.
#[must_use]
pub fn gradient_value(low: Val, high: Val) -> Val {
    low + high * Val::from_u64(1 << 15)
}

/// `numerator / (x - point)`. The point lies outside the base field, so the divisor isn't zero.
fn divided(numerator: Ext, x: Val, point: Ext) -> Ext {
    numerator * (Ext::from(x) - point).try_inverse().unwrap_or(Ext::ZERO)
}

fn dot(weights: &[Ext], values: impl Iterator<Item = Ext>) -> Ext {
    weights.iter().zip(values).map(|(weight, value)| *weight * value).sum()
}

fn horner_ext(coefficients: &[Ext], x: Val) -> Ext {
    coefficients.iter().rev().fold(Ext::ZERO, |total, coefficient| total * x + *coefficient)
}

fn take_root(reader: &mut Reader<'_>, transcript: &mut Transcript) -> Result<Digest, Error> {
    let root = reader.digest()?;
    transcript.root(&root);
    Ok(root)
}

fn take_work(
    reader: &mut Reader<'_>,
    transcript: &mut Transcript,
    bits: usize,
    before: &'static str,
) -> Result<(), Error> {
    let work = reader.value()?;
    transcript.check_work(bits, work, before)
}

/// The distinct indices after `bits` folds of two.
#[must_use]
pub fn shifted(indices: &[usize], bits: usize) -> Vec<usize> {
    let mut list: Vec<usize> = indices.iter().map(|index| index >> bits).collect();
    list.dedup();
    list
}

struct Rows {
    width: usize,
    values: Vec<Val>,
}

impl Rows {
    fn row(&self, index: usize) -> &[Val] {
        &self.values[index * self.width..(index + 1) * self.width]
    }
}

fn open_rows(
    reader: &mut Reader<'_>,
    root: &Digest,
    depth: usize,
    indices: &[usize],
    width: usize,
    salt: usize,
    name: &'static str,
) -> Result<Rows, Error> {
    let mut values = Vec::with_capacity(indices.len() * width);
    let mut leaves = Vec::with_capacity(indices.len());
    for _ in indices {
        let from = values.len();
        for _ in 0..width {
            values.push(reader.value()?);
        }
        leaves.push(leaf(&values[from..], reader.bytes(salt)?));
    }
    check_opening(reader, root, depth, indices, leaves, name)?;
    Ok(Rows { width, values })
}
