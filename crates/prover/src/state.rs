//! Commitments to states that chain from proof to proof.

use p3_field::{BasedVectorSpace, PrimeCharacteristicRing};
use p3_matrix::dense::RowMajorMatrix;
use p3_maybe_rayon::prelude::*;
use zk_autograd_air::{Ext, Val, field::from_signed};
use zk_autograd_verifier::digest::Digest;
use zk_autograd_verifier::parameters::{LOG_BLOWUP, MASK, SEAL_BITS};
use zk_autograd_verifier::range::horner;
use zk_autograd_verifier::sealed::{Sealed, Sort};

use crate::coins::Seed;
use crate::tree::Tree;
use crate::words::{Dft, Words, masked, padded, words};
use crate::work::grind;

/// The secret of a commitment, from the operating system's randomness: 32 bytes.
pub type StateSecret = [u8; 32];

/// Several committed states: polynomials of N + MASK coefficients, their words, and a tree for each.
pub struct States {
    /// For each state its coefficients.
    pub coefficients: Vec<Vec<Val>>,
    /// The words, one state a column.
    pub words: Words,
    /// The trees.
    pub trees: Vec<Tree>,
    /// What is published.
    pub sealed: Vec<Sealed>,
}

/// States as polynomials and words, before their trees.
struct Masked {
    seeds: Vec<Seed>,
    coefficients: Vec<Vec<Val>>,
    words: Words,
}

impl Masked {
    fn new(dft: &Dft, sort: Sort, states: &[(&[i64], &StateSecret)], mask: usize) -> Self {
        let purpose = match sort {
            Sort::Table => "zk-autograd native state v1",
            Sort::Data => "zk-autograd native data v1",
        };
        let width = padded(states.len());
        let size = states.first().map_or(0, |(values, _)| values.len());
        let mut matrix = Val::zero_vec(size * width);
        matrix.par_chunks_mut(width).enumerate().for_each(|(row, out)| {
            for (place, (values, _)) in out.iter_mut().zip(states) {
                *place = from_signed(values[row]);
            }
        });
        // Each state's coins come from its own secret and values: opening W says nothing of M and V.
        let seeds: Vec<Seed> = states
            .par_iter()
            .map(|(values, secret)| {
                let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
                Seed::derive(purpose, &[secret.as_slice(), &bytes])
            })
            .collect();
        let coins = seeds.iter().map(|seed| seed.child("mask").stream(0)).enumerate();
        let polynomials = masked(dft, RowMajorMatrix::new(matrix, width), mask, coins);
        let coefficients: Vec<Vec<Val>> = (0..states.len())
            .into_par_iter()
            .map(|column| {
                let all = polynomials.low.values.chunks_exact(width).chain(polynomials.high.chunks_exact(width));
                all.map(|row| row[column]).collect()
            })
            .collect();
        let words = words(dft, polynomials);
        Self { seeds, coefficients, words }
    }

    fn tree(&self, column: usize) -> Tree {
        let size = 2 << self.words.log_half;
        let salts = self.seeds[column].child("salts");
        Tree::new(size, 1, Some(salts), |index, out| out[0] = self.words.row(index)[column])
    }

    fn seal(&self, sort: Sort, column: usize, root: Digest) -> Sealed {
        seal(sort, root, self.words.log_half + LOG_BLOWUP, |point| horner(&self.coefficients[column], point))
    }
}

impl States {
    /// Commits to the states: each its values (length N) and its secret.
    #[must_use]
    pub fn new(dft: &Dft, states: &[(&[i64], &StateSecret)], mask: usize) -> Self {
        let made = Masked::new(dft, Sort::Table, states, mask);
        let trees: Vec<Tree> = (0..states.len()).map(|column| made.tree(column)).collect();
        let sealed =
            trees.iter().enumerate().map(|(column, tree)| made.seal(Sort::Table, column, tree.root())).collect();
        let Masked { coefficients, words, .. } = made;
        Self { coefficients, words, trees, sealed }
    }
}

/// Seals a root: finds the proof of work, draws the point, and evaluates there.
#[must_use]
pub fn seal(sort: Sort, root: Digest, log_size: usize, value: impl FnOnce(Ext) -> Ext) -> Sealed {
    let mut transcript = Sealed::transcript(sort, &root, log_size);
    let work = grind(&mut transcript, SEAL_BITS);
    let point = transcript.challenge();
    Sealed { root, work, value: value(point) }
}

/// The commitment to a state of `values.len()` parameters, a power of two.
#[must_use]
pub fn commit(values: &[i64], secret: &StateSecret) -> Sealed {
    commit_all(&[(values, secret)])[0]
}

/// The commitments to several states of one length, as [`commit`] gives them one by one. They go through the transform together, which
/// fills vectors that a single one leaves empty, and one tree is held at a time.
#[must_use]
pub fn commit_all(states: &[(&[i64], &StateSecret)]) -> Vec<Sealed> {
    committed(Sort::Table, states)
}

/// The commitment to a shard of the data, `values.len()` cells, a power of two: masked, salted and sealed as a state, under labels of
/// its own.
#[must_use]
pub fn commit_data(values: &[i64], secret: &StateSecret) -> Sealed {
    committed(Sort::Data, &[(values, secret)])[0]
}

fn committed(sort: Sort, states: &[(&[i64], &StateSecret)]) -> Vec<Sealed> {
    let dft = Dft::default();
    let together = padded(1);
    states
        .chunks(together)
        .flat_map(|some| {
            let made = Masked::new(&dft, sort, some, MASK);
            let roots: Vec<Digest> = (0..some.len()).map(|column| made.tree(column).root()).collect();
            roots.into_par_iter().enumerate().map(|(column, root)| made.seal(sort, column, root)).collect::<Vec<_>>()
        })
        .collect()
}

/// The two parts of an element of the extension.
#[inline]
#[must_use]
pub fn parts(value: Ext) -> [Val; 2] {
    let parts = BasedVectorSpace::<Val>::as_basis_coefficients_slice(&value);
    [parts[0], parts[1]]
}
