//! Commitments to states that chain from proof to proof.

use p3_field::{BasedVectorSpace, PrimeCharacteristicRing};
use p3_matrix::dense::RowMajorMatrix;
use zk_autograd_air::{Ext, Val, field::from_signed};
use zk_autograd_verifier::digest::Digest;
use zk_autograd_verifier::parameters::{LOG_BLOWUP, MASK, SEAL_BITS};
use zk_autograd_verifier::range::horner;
use zk_autograd_verifier::sealed::Sealed;

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

impl States {
    /// Commits to the states: each its values (length N) and its secret.
    #[must_use]
    pub fn new(dft: &Dft, states: &[(&[i64], &StateSecret)], mask: usize) -> Self {
        let width = padded(states.len());
        let size = states.first().map_or(0, |(values, _)| values.len());
        let log_half = size.trailing_zeros() as usize;
        let mut matrix = Val::zero_vec(size * width);
        for (column, (values, _)) in states.iter().enumerate() {
            for (row, value) in values.iter().enumerate() {
                matrix[row * width + column] = from_signed(*value);
            }
        }
        // Each state's coins come from its own secret and values: opening W says nothing of M and V.
        let seeds: Vec<Seed> = states
            .iter()
            .map(|(values, secret)| {
                let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
                Seed::derive("zk-autograd native state v1", &[secret.as_slice(), &bytes])
            })
            .collect();
        let coins = seeds.iter().map(|seed| seed.child("mask").stream(0)).enumerate();
        let polynomials = masked(dft, RowMajorMatrix::new(matrix, width), mask, coins);
        let coefficients: Vec<Vec<Val>> = (0..states.len())
            .map(|column| {
                let all = polynomials.low.values.chunks_exact(width).chain(polynomials.high.chunks_exact(width));
                all.map(|row| row[column]).collect()
            })
            .collect();
        let words = words(dft, polynomials);
        let trees: Vec<Tree> = seeds
            .iter()
            .enumerate()
            .map(|(column, seed)| {
                Tree::new(2 * size, 1, Some(seed.child("salts")), |index, out| out[0] = words.row(index)[column])
            })
            .collect();
        let sealed = trees
            .iter()
            .zip(&coefficients)
            .map(|(tree, coefficients)| seal(tree.root(), log_half + LOG_BLOWUP, |point| horner(coefficients, point)))
            .collect();
        Self { coefficients, words, trees, sealed }
    }
}

/// Seals a root: finds the proof of work, draws the point, and evaluates there.
#[must_use]
pub fn seal(root: Digest, log_size: usize, value: impl FnOnce(Ext) -> Ext) -> Sealed {
    let mut transcript = Sealed::transcript(&root, log_size);
    let work = grind(&mut transcript, SEAL_BITS);
    let point = transcript.challenge();
    Sealed { root, work, value: value(point) }
}

/// The commitment to a state of `values.len()` parameters, a power of two.
#[must_use]
pub fn commit(values: &[i64], secret: &StateSecret) -> Sealed {
    States::new(&Dft::default(), &[(values, secret)], MASK).sealed[0]
}

/// The two parts of an element of the extension.
#[inline]
#[must_use]
pub fn parts(value: Ext) -> [Val; 2] {
    let parts = BasedVectorSpace::<Val>::as_basis_coefficients_slice(&value);
    [parts[0], parts[1]]
}
