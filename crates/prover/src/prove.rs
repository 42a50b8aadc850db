//! The prover, message by message: the same for every kind of table.

use zk_autograd_air::{Ext, Val};
use zk_autograd_verifier::batch::{Batch, points};
use zk_autograd_verifier::codec::Writer;
use zk_autograd_verifier::lengths::Domain;
use zk_autograd_verifier::parameters::{BATCH_BITS, MASK, POINT_BITS, QUERY_BITS};
use zk_autograd_verifier::sealed::{Sealed, Sort};
use zk_autograd_verifier::table::{Layout, Part, Point, QUOTIENT_COLUMNS, Root};
use zk_autograd_verifier::transcript::Transcript;
use zk_autograd_verifier::verify::shifted;
use zk_autograd_verifier::{Commitments, Lengths, Statement, Table};

use crate::error::ProveError;
use crate::fri::{self, Layer};
use crate::matrix::{Maker, Matrix, committed};
use crate::memory;
use crate::opening::{Opened, evaluate, inverse_differences};
use crate::progress::{Clock, Phases, Progress};
use crate::quotient::Quotient;
use crate::segment::Segment;
use crate::state::{States, seal};
use crate::table::{Places, Reads, Witnessed};
use crate::tamper::{Honest, Tamper, work};
use crate::tree::Tree;
use crate::witness::{Trace, Witness, trace};
use crate::words::{Dft, Words};

/// Whether the polynomials hide the witness. Unmasked proofs are for measurements: they verify, and hide nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Masking {
    /// Zero knowledge.
    Full,
    /// None.
    Off,
}

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

/// A table's proof.
#[derive(Clone, Debug)]
pub struct TableProof {
    /// The commitments, in the order of their trees.
    pub sealed: Vec<Sealed>,
    /// The proof's bytes.
    pub bytes: Vec<u8>,
    /// Time by phase.
    pub phases: Phases,
}

/// How a proof is made.
struct Run<'a> {
    masking: Masking,
    progress: &'a Progress,
    clock: Clock,
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
    memory::wanted();
    let mut clock = Clock::new();
    let trace = trace(statement, witness, progress)?;
    clock.lap("trace");
    segment(statement, witness, trace, &Honest, Run { masking, progress, clock })
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
    let progress = Progress::default();
    segment(statement, witness, trace, tamper, Run { masking: Masking::Full, progress: &progress, clock: Clock::new() })
}

fn segment(
    statement: &Statement,
    witness: &Witness<'_>,
    trace: Trace,
    tamper: &impl Tamper,
    mut run: Run<'_>,
) -> Result<Proof, ProveError> {
    let segment = Segment::new(statement, witness, trace, tamper);
    run.clock.lap("seed");
    let TableProof { sealed, bytes, phases } = run.prove(segment, tamper)?;
    let commitments = Commitments::from_tree_order(&sealed)
        .ok_or_else(|| ProveError::Internal("the states before and after are not as many".into()))?;
    Ok(Proof { commitments, bytes, phases })
}

/// Proves what a table says of its columns. They aren't checked: where they break a relation, the
/// proof will be refused.
///
/// # Errors
/// [`ProveError`]: a witness without columns, or an end that was asked for.
pub fn prove_table(
    witnessed: impl Witnessed,
    progress: &Progress,
    tamper: &impl Tamper,
) -> Result<TableProof, ProveError> {
    Run { masking: Masking::Full, progress, clock: Clock::new() }.prove(witnessed, tamper)
}

/// The messages so far: what was sent, and the transcript of it.
struct Messages<'a, T> {
    writer: Writer,
    transcript: Transcript,
    tamper: &'a T,
}

impl<T: Tamper> Messages<'_, T> {
    fn root(&mut self, tree: &Tree) {
        self.transcript.root(&tree.root());
        self.writer.bytes(&tree.root());
    }

    fn work(&mut self, bits: usize, before: &'static str) {
        work(&mut self.transcript, &mut self.writer, bits, before, self.tamper);
    }

    fn elements(&mut self, values: &[Ext]) {
        self.transcript.elements(values);
        for value in values {
            self.writer.element(*value);
        }
    }

    /// The queried indices, sorted and distinct.
    fn indices(&mut self, lengths: &Lengths) -> Vec<usize> {
        let mut indices: Vec<usize> =
            (0..lengths.queries).map(|_| self.transcript.index(lengths.log_row_words())).collect();
        indices.sort_unstable();
        indices.dedup();
        indices
    }
}

/// 1 / (x - point), for the points at which trees over rows are sealed.
type Differences = Vec<(Ext, Vec<Ext>)>;

impl Run<'_> {
    fn prove<W: Witnessed>(mut self, mut witnessed: W, tamper: &impl Tamper) -> Result<TableProof, ProveError> {
        let (lengths, layout) = (witnessed.table().lengths().clone(), witnessed.table().layout());
        let places = Places::new(&layout);
        let (dft, reads) = (Dft::default(), Reads::new(&layout, &places));
        let mask = if self.masking == Masking::Full { MASK } else { 0 };

        // What is sealed comes before all messages: columns of lines, and trees of the first round.
        let mut lines = witnessed.lines(&dft, mask);
        tamper.committed(&mut lines);
        self.clock.lap("states");
        self.progress.check()?;
        let maker = Maker { dft: &dft, layout: &layout, reads: &reads, mask, progress: self.progress, tamper };
        let columns = witnessed.columns(0, &[])?;
        let mut matrices = vec![maker.matrix(0, columns, |tree| witnessed.coins(tree), &mut self.clock)?];
        let (own, differences) = sealed(&layout, &lengths, &matrices[0], &lines);
        self.clock.lap("openings");
        let mut shown = own.clone();
        tamper.commitments(&mut shown);

        let transcript = Transcript::new(&witnessed.table().beginning(&shown));
        let mut messages = Messages { writer: Writer::default(), transcript, tamper };
        let mut challenges = Vec::new();
        for (number, round) in layout.rounds.iter().enumerate() {
            if number > 0 {
                let mut columns = witnessed.columns(number, &challenges)?;
                tamper.columns(number, &mut columns);
                self.clock.lap(witnessed.phase(number));
                self.progress.check()?;
                matrices.push(maker.matrix(number, columns, |tree| witnessed.coins(tree), &mut self.clock)?);
            }
            for (tree, _, nodes) in &matrices[number].trees {
                if layout.trees[*tree].root == Root::Sent {
                    messages.root(nodes);
                }
            }
            if let Some((bits, before)) = round.work {
                messages.work(bits, before);
                self.clock.lap("proof of work");
            }
            challenges.extend((0..round.challenges).map(|_| messages.transcript.challenge()));
            self.progress.check()?;
        }

        let coefficients: Vec<&[Val]> = lines.iter().flat_map(|group| &group.coefficients).map(Vec::as_slice).collect();
        let table = witnessed.table();
        let quotient = Quotient::new(&dft, table, &layout, &reads, (&matrices, &coefficients), &challenges);
        let mut parts = quotient.words(mask, witnessed.seed(), self.progress)?;
        tamper.quotient(&mut parts);
        self.clock.lap("quotient");
        self.progress.check()?;
        let quotient_tree = committed(&parts, 0, QUOTIENT_COLUMNS, witnessed.seed().child("quotient salts"));
        self.clock.lap("hashing");
        messages.root(&quotient_tree);
        messages.work(POINT_BITS, "of the point");
        let point = messages.transcript.challenge();
        let points = points(&lengths, &layout, &own, point).map_err(|error| ProveError::Internal(error.to_string()))?;
        self.clock.lap("proof of work");

        let rows: Vec<&Words> = matrices.iter().map(|matrix| &matrix.words).chain([&parts]).collect();
        let opened = Opened::new(&layout, &places, (rows, &lines), &points, differences);
        self.progress.check()?;
        let mut values = opened.values(&points);
        tamper.out_of_domain(&mut values, point);
        messages.elements(&values);
        self.clock.lap("openings");
        self.progress.check()?;
        messages.work(BATCH_BITS, "of the batch");
        let challenge = messages.transcript.challenge();
        self.clock.lap("proof of work");
        let claims = layout
            .claims(&values, &shown)
            .ok_or_else(|| ProveError::Internal("the out-of-domain values have another count".into()))?;
        let batch = Batch::new(&layout, &claims, &points, challenge);
        let rows_word = opened.batch(&batch);
        self.progress.check()?;
        let lines_word = opened.batch_lines(&batch, lengths.log_state_words());
        self.clock.lap("openings");
        drop(opened);
        let Messages { writer, transcript, .. } = &mut messages;
        let layers = fri::commit(&lengths, rows_word, &lines_word, transcript, writer, self.progress, tamper)?;
        self.clock.lap("FRI");
        messages.work(QUERY_BITS, "of the queries");
        let indices = messages.indices(&lengths);
        self.clock.lap("proof of work");

        let mut writer = messages.writer;
        let trees = Trees { matrices: &matrices, quotient: (&parts, &quotient_tree), lines: &lines };
        trees.open(&layout, &places, &lengths, &indices, &mut writer);
        open_layers(&layers, &indices, &mut writer);
        self.clock.lap("openings");
        Ok(TableProof { sealed: shown, bytes: writer.finish(), phases: self.clock.finish() })
    }
}

/// The commitments in the order of their trees, and what was computed for those over rows.
fn sealed(layout: &Layout, lengths: &Lengths, first: &Matrix, lines: &[States]) -> (Vec<Sealed>, Differences) {
    let mut differences = Vec::new();
    let mut lines = lines.iter().flat_map(|group| &group.sealed);
    let log_size = lengths.log_row_words();
    let mut sealed = Vec::new();
    for tree in layout.sealed() {
        let own = first.trees.iter().find(|(number, ..)| *number == tree);
        let part = layout.openings.iter().find(|opening| opening.tree == tree && opening.point == Point::Seal);
        sealed.extend(match (own, part) {
            (Some((_, from, nodes)), Some(opening)) => Some(seal(Sort::Table, nodes.root(), log_size, |point| {
                let own = inverse_differences(log_size, point);
                let columns = *from..*from + layout.trees[tree].width;
                let value = sum(&opening.part, &evaluate(&first.words, point, &own, columns));
                differences.push((point, own));
                value
            })),
            _ => lines.next().copied(),
        });
    }
    (sealed, differences)
}

fn sum(part: &Part, columns: &[Ext]) -> Ext {
    part.terms().iter().map(|(column, factor)| *factor * columns[*column]).sum()
}

/// All trees of a proof but those of the low-degree test.
struct Trees<'a> {
    matrices: &'a [Matrix],
    quotient: (&'a Words, &'a Tree),
    lines: &'a [States],
}

impl Trees<'_> {
    /// Opens the trees at the queried indices, in the order of the layout.
    fn open(&self, layout: &Layout, places: &Places, lengths: &Lengths, indices: &[usize], writer: &mut Writer) {
        let line_indices = shifted(indices, lengths.log_steps);
        let lines: Vec<(&Words, usize, &Tree)> = self
            .lines
            .iter()
            .flat_map(|group| group.trees.iter().enumerate().map(|(column, tree)| (&group.words, column, tree)))
            .collect();
        for (number, tree) in layout.trees.iter().enumerate() {
            let (words, from, nodes) = match (places.rows[number], places.lines[number]) {
                (_, Some(line)) => lines[line],
                (Some((matrix, from)), None) if matrix < self.matrices.len() => {
                    let own = self.matrices[matrix].trees.iter().find(|(own, ..)| *own == number);
                    let (_, _, nodes) = own.expect("a tree of its round");
                    (&self.matrices[matrix].words, from, nodes)
                }
                _ => (self.quotient.0, 0, self.quotient.1),
            };
            let own = if tree.domain == Domain::Rows { indices } else { &line_indices };
            let row = |index: usize, out: &mut [Val]| out.copy_from_slice(&words.row(index)[from..from + out.len()]);
            nodes.open(own, tree.width, row, writer);
        }
    }
}

fn open_layers(layers: &[Layer], indices: &[usize], writer: &mut Writer) {
    let mut bits = 0;
    for layer in layers {
        bits += layer.log_arity;
        let groups = shifted(indices, bits);
        layer.tree.open(&groups, 2 << layer.log_arity, |group, out| layer.group(group, out), writer);
    }
}
