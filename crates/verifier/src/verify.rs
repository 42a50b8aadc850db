//! The verifier.
//!
//! The steps, numbered in the code:
//! 1. Rebuild the transcript from the statement; read the prover's messages and draw the challenges.
//! 2. Check the identity of the relations at the out-of-domain point.
//! 3. Read the openings at the queried indices, and check their Merkle paths.
//! 4. Follow each query through the folds to the final polynomial.
//!
//! They are the same for every kind of [`Table`]. That the commitments are those of the records,
//! and that the segments chain, is left to the caller.

use p3_field::PrimeCharacteristicRing;
use zk_autograd_air::{Ext, Val};

use crate::batch::{Batch, points};
use crate::codec::{Reader, extension};
use crate::composition;
use crate::digest::Digest;
use crate::error::Error;
use crate::fri;
use crate::lengths::{Domain, Lengths};
use crate::merkle::{check_opening, leaf};
use crate::parameters::{BATCH_BITS, FOLD_BITS, LOG_FINAL_DOMAIN, POINT_BITS, QUERY_BITS};
use crate::sealed::{Sealed, is_base};
use crate::statement::{Commitments, Statement};
use crate::table::{Layout, QUOTIENT, Root, Table, Tree};
use crate::transcript::Transcript;

/// Checks that `proof` is a proof of the statement with these commitments.
///
/// # Errors
/// [`Error`] if it isn't, whatever the bytes are.
pub fn verify(statement: &Statement, commitments: &Commitments, proof: &[u8]) -> Result<(), Error> {
    let states = statement.shape.states;
    if commitments.state_in.len() != states || commitments.state_out.len() != states {
        return Err(Error::Statement(format!("the rule has {states} states")));
    }
    verify_table(statement, &commitments.in_tree_order(), proof)
}

/// Checks that `proof` is a proof of a table, with these commitments in the order of their trees.
///
/// # Errors
/// [`Error`] if it isn't, whatever the bytes are.
pub fn verify_table<T: Table>(table: &T, sealed: &[Sealed], proof: &[u8]) -> Result<(), Error> {
    let (lengths, layout) = (table.lengths(), table.layout());
    let expected = layout.sealed().count();
    if sealed.len() != expected {
        return Err(Error::Statement(format!("the table has {expected} commitments, not {}", sealed.len())));
    }
    layout.check()?;
    // 1. Messages and challenges.
    let mut reader = Reader::new(proof);
    let messages = Messages::read(&mut reader, table, &layout, sealed)?;

    // 2. The relations.
    let claims = layout.claims(&messages.values, sealed).ok_or(Error::Length)?;
    composition::check(table, &layout, &claims, &messages.challenges, messages.point)?;

    // 3. The openings.
    let points = points(lengths, &layout, sealed, messages.point)?;
    let lines = shifted(&messages.indices, lengths.log_steps);
    let mut opened = Vec::with_capacity(layout.trees.len());
    for (tree, root) in layout.trees.iter().zip(&messages.roots) {
        let indices = if tree.domain == Domain::Rows { &messages.indices } else { &lines };
        opened.push(open_rows(&mut reader, root, lengths.log_words(tree.domain), indices, tree)?);
    }
    let folds = Folds::read(&mut reader, lengths, &messages)?;
    reader.end()?;

    // 4. The queries.
    let batch = Batch::new(&layout, &claims, &points, messages.batch);
    let line_words: Vec<Ext> = lines
        .iter()
        .enumerate()
        .map(|(row, index)| batch.lines(fri::point(*index, lengths.log_state_words()), |tree| opened[tree].row(row)))
        .collect();
    for (row, index) in messages.indices.iter().enumerate() {
        let line = lines.binary_search(&(index >> lengths.log_steps)).map_err(|_| Error::Length)?;
        let value = batch.rows(fri::point(*index, lengths.log_row_words()), |tree| opened[tree].row(row));
        folds.follow(*index, value, line_words[line])?;
    }
    Ok(())
}

/// What the prover sends before the openings, and the challenges that it gets.
struct Messages {
    /// The root of each tree.
    roots: Vec<Digest>,
    /// The challenges of the rounds.
    challenges: Vec<Ext>,
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
    /// Reads the messages, in which the challenges are drawn. The errors, with L the size of the
    /// list of codewords near a word and l the exceptional challenges of a line, are those of
    /// docs/soundness.md; `soundness.rs` computes their bits.
    fn read(reader: &mut Reader<'_>, table: &impl Table, layout: &Layout, sealed: &[Sealed]) -> Result<Self, Error> {
        let lengths = table.lengths();
        let mut transcript = Transcript::new(&table.beginning(sealed));
        let mut roots = vec![Digest::default(); layout.trees.len()];
        for (tree, own) in layout.sealed().zip(sealed) {
            roots[tree] = own.root;
        }
        // Soundness errors: each round's stand beside it in the table's layout.
        let mut challenges = Vec::new();
        for round in &layout.rounds {
            for tree in &round.trees {
                if layout.trees[*tree].root == Root::Sent {
                    roots[*tree] = take_root(reader, &mut transcript)?;
                }
            }
            if let Some((bits, before)) = round.work {
                take_work(reader, &mut transcript, bits, before)?;
            }
            challenges.extend((0..round.challenges).map(|_| transcript.challenge()));
        }
        roots[layout.quotient] = take_root(reader, &mut transcript)?;
        take_work(reader, &mut transcript, POINT_BITS, "of the point")?;
        // Soundness error: L^2 3 D / |K|, times 2^-12 for the work, with D one more than the degree
        // that the low-degree test enforces: two polynomials of degree below 3 D agree there.
        let point = transcript.challenge();
        if is_base(&point) {
            return Err(Error::Point);
        }
        let values = reader.elements(layout.sent())?;
        transcript.elements(&values);
        take_work(reader, &mut transcript, BATCH_BITS, "of the batch")?;
        // Soundness error: l (words - 1) / |K|, times 2^-18: a word that isn't close to a codeword
        // joins others to one that is.
        let batch = transcript.challenge();
        let mut layers = Vec::with_capacity(lengths.folds.len());
        for _ in &lengths.folds {
            let root = take_root(reader, &mut transcript)?;
            take_work(reader, &mut transcript, FOLD_BITS, "of a fold")?;
            // Soundness error: l arity / |K| where the lines' word joins, else l (arity - 1) / |K|,
            // times 2^-16.
            layers.push((root, transcript.challenge()));
        }
        let final_polynomial = reader.elements(lengths.final_length)?;
        transcript.elements(&final_polynomial);
        take_work(reader, &mut transcript, QUERY_BITS, "of the queries")?;
        // Soundness error: agreement^queries, times 2^-20: every query falls where a far word
        // agrees with a codeword.
        let mut indices: Vec<usize> = (0..lengths.queries).map(|_| transcript.index(lengths.log_row_words())).collect();
        indices.sort_unstable();
        indices.dedup();
        Ok(Self { roots, challenges, point, values, batch, layers, final_polynomial, indices })
    }
}

/// The folds' openings, which the queries are followed through.
struct Folds<'a> {
    lengths: &'a Lengths,
    messages: &'a Messages,
    /// For each layer the groups that are opened, and their values.
    opened: Vec<(Vec<usize>, Rows)>,
}

impl<'a> Folds<'a> {
    fn read(reader: &mut Reader<'_>, lengths: &'a Lengths, messages: &'a Messages) -> Result<Self, Error> {
        let mut depth = lengths.log_row_words();
        let mut opened = Vec::with_capacity(lengths.folds.len());
        for ((root, _), log_arity) in messages.layers.iter().zip(&lengths.folds) {
            depth -= log_arity;
            let groups = shifted(&messages.indices, lengths.log_row_words() - depth);
            // Folded words need no salt: a uniform mask is in them.
            let layer = Tree { name: "low-degree test", width: 2 << log_arity, salt: 0, ..QUOTIENT };
            let rows = open_rows(reader, root, depth, &groups, &layer)?;
            opened.push((groups, rows));
        }
        Ok(Self { lengths, messages, opened })
    }

    /// Follows a query to the final polynomial. `value` is the rows' word there, `line` the lines'
    /// word at the index's line.
    fn follow(&self, index: usize, mut value: Ext, line: Ext) -> Result<(), Error> {
        if self.lengths.folds_to_states == 0 {
            value += line;
        }
        let mut log_word = self.lengths.log_row_words();
        let mut position = index;
        let layers = self.messages.layers.iter().zip(&self.lengths.folds).zip(&self.opened);
        for (layer, (((_, challenge), log_arity), (groups, rows))) in layers.enumerate() {
            let group = position >> log_arity;
            let place = groups.binary_search(&group).map_err(|_| Error::Fold(layer))?;
            let word: Vec<Ext> = rows.row(place).chunks_exact(2).map(|pair| extension(pair[0], pair[1])).collect();
            if word.get(position & ((1 << log_arity) - 1)) != Some(&value) {
                return Err(Error::Fold(layer));
            }
            value = fri::fold_group(&word, group, log_word, *challenge);
            if layer + 1 == self.lengths.folds_to_states {
                value += challenge.exp_power_of_2(*log_arity) * line;
            }
            log_word -= log_arity;
            position = group;
        }
        let last = horner_ext(&self.messages.final_polynomial, fri::point(position, LOG_FINAL_DOMAIN));
        if last == value { Ok(()) } else { Err(Error::FinalPolynomial) }
    }
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
    tree: &Tree,
) -> Result<Rows, Error> {
    let mut values = Vec::with_capacity(indices.len() * tree.width);
    let mut leaves = Vec::with_capacity(indices.len());
    for _ in indices {
        let from = values.len();
        for _ in 0..tree.width {
            values.push(reader.value()?);
        }
        leaves.push(leaf(&values[from..], reader.bytes(tree.salt)?));
    }
    check_opening(reader, root, depth, indices, leaves, tree.name)?;
    Ok(Rows { width: tree.width, values })
}
