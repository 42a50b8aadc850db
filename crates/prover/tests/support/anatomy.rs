//! What stands where in a proof, from its statement and the transcript.

use core::ops::Range;

use zk_autograd_air::{Ext, Val};
use zk_autograd_verifier::codec::Reader;
use zk_autograd_verifier::digest::DIGEST_BYTES;
use zk_autograd_verifier::merkle::missing_siblings;
use zk_autograd_verifier::parameters::SALT_BYTES;
use zk_autograd_verifier::table::QUOTIENT_COLUMNS;
use zk_autograd_verifier::transcript::Transcript;
use zk_autograd_verifier::verify::shifted;
use zk_autograd_verifier::{Commitments, Statement};

/// The bytes of an opened tree: a row of `width` values and a salt for each index, then siblings.
pub struct Opening {
    pub name: &'static str,
    pub indices: Vec<usize>,
    pub width: usize,
    pub salt: usize,
    pub rows: Range<usize>,
    pub siblings: Range<usize>,
}

impl Opening {
    /// The bytes of the row of that number.
    pub fn row(&self, number: usize) -> Range<usize> {
        let start = self.rows.start + number * (8 * self.width + self.salt);
        start..start + 8 * self.width
    }

    /// The values of the row of that number.
    pub fn values(&self, proof: &[u8], number: usize) -> Vec<Val> {
        let mut reader = Reader::new(&proof[self.row(number)]);
        (0..self.width).map(|_| reader.value().unwrap()).collect()
    }
}

/// A proof's parts.
pub struct Anatomy {
    /// Messages by name, in the order in which they are sent.
    pub messages: Vec<(&'static str, Range<usize>)>,
    /// The out-of-domain point.
    pub point: Ext,
    /// The queried indices.
    pub indices: Vec<usize>,
    /// Openings in their order: gradient, main, lookups, quotient, states before and after, the low-degree test's layers.
    pub openings: Vec<Opening>,
}

impl Anatomy {
    /// Takes a proof that verifies apart.
    pub fn of(statement: &Statement, commitments: &Commitments, proof: &[u8]) -> Self {
        let shape = &statement.shape;
        let mut transcript = Transcript::new(&statement.transcript_bytes(commitments));
        let mut at = 0;
        let mut messages = Vec::new();
        let mut root = |name, at: &mut usize, transcript: &mut Transcript| {
            transcript.root(&proof[*at..*at + DIGEST_BYTES].try_into().unwrap());
            messages.push((name, *at..*at + DIGEST_BYTES));
            *at += DIGEST_BYTES;
        };
        let mut works = Vec::new();
        let mut work = |name, at: &mut usize, transcript: &mut Transcript| {
            let _ = transcript.work_seed();
            transcript.work(Reader::new(&proof[*at..]).value().unwrap());
            works.push((name, *at..*at + 8));
            *at += 8;
        };
        let mut lists = Vec::new();
        let mut elements = |name, count: usize, at: &mut usize, transcript: &mut Transcript| {
            transcript.elements(&Reader::new(&proof[*at..]).elements(count).unwrap());
            lists.push((name, *at..*at + 16 * count));
            *at += 16 * count;
        };
        root("main root", &mut at, &mut transcript);
        work("work of the lookups", &mut at, &mut transcript);
        let _ = transcript.challenge();
        root("lookups root", &mut at, &mut transcript);
        let _ = transcript.challenge();
        root("quotient root", &mut at, &mut transcript);
        work("work of the point", &mut at, &mut transcript);
        let point = transcript.challenge();
        elements("out-of-domain values", shape.out_of_domain(), &mut at, &mut transcript);
        work("work of the batch", &mut at, &mut transcript);
        let _ = transcript.challenge();
        for _ in &shape.lengths.folds {
            root("layer root", &mut at, &mut transcript);
            work("work of a fold", &mut at, &mut transcript);
            let _ = transcript.challenge();
        }
        elements("final polynomial", shape.lengths.final_length, &mut at, &mut transcript);
        work("work of the queries", &mut at, &mut transcript);
        let log_size = shape.lengths.log_row_words();
        let mut indices: Vec<usize> = (0..shape.lengths.queries).map(|_| transcript.index(log_size)).collect();
        indices.sort_unstable();
        indices.dedup();
        messages.extend(works);
        messages.extend(lists);
        messages.sort_by_key(|(_, range)| range.start);

        let mut openings = Vec::new();
        let mut opening = |name, indices: &[usize], depth: usize, width: usize, salt: usize| {
            let rows = at..at + indices.len() * (8 * width + salt);
            let count: usize = missing_siblings(indices, depth).iter().map(Vec::len).sum();
            let siblings = rows.end..rows.end + DIGEST_BYTES * count;
            at = siblings.end;
            openings.push(Opening { name, indices: indices.to_vec(), width, salt, rows, siblings });
        };
        opening("gradient", &indices, log_size, shape.gradient, SALT_BYTES);
        opening("main", &indices, log_size, shape.main, SALT_BYTES);
        opening("lookups", &indices, log_size, 2 * (shape.helpers + 1), SALT_BYTES);
        opening("quotient", &indices, log_size, QUOTIENT_COLUMNS, SALT_BYTES);
        let states = shifted(&indices, shape.lengths.log_steps);
        for name in ["state before", "state after"] {
            for _ in 0..shape.states {
                opening(name, &states, shape.lengths.log_state_words(), 1, SALT_BYTES);
            }
        }
        let mut bits = 0;
        for log_arity in &shape.lengths.folds {
            bits += log_arity;
            opening("low-degree test", &shifted(&indices, bits), log_size - bits, 2 << log_arity, 0);
        }
        assert_eq!(at, proof.len());
        Self { messages, point, indices, openings }
    }

    /// The opening of that name and number among those of its name.
    pub fn opening(&self, name: &str, number: usize) -> &Opening {
        self.openings.iter().filter(|opening| opening.name == name).nth(number).unwrap()
    }
}
