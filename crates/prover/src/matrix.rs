//! The columns of a round as words and trees.

use p3_matrix::dense::RowMajorMatrix;
use zk_autograd_air::Val;
use zk_autograd_verifier::table::Layout;

use crate::coins::Seed;
use crate::error::ProveError;
use crate::progress::{Clock, Progress};
use crate::small::on_small;
use crate::table::{Coins, Reads};
use crate::tamper::Tamper;
use crate::tree::Tree;
use crate::words::{Dft, Words, masked, padded, words};

/// A round's words, with a tree over some columns each.
pub struct Matrix {
    /// All columns, side by side.
    pub words: Words,
    /// The columns on the quotient's small coset, as many rows on as the relations read them.
    pub small: Vec<Vec<Val>>,
    /// The trees: number, first column, nodes.
    pub trees: Vec<(usize, usize, Tree)>,
}

/// How a matrix is made.
pub(crate) struct Maker<'a, T> {
    pub(crate) dft: &'a Dft,
    pub(crate) layout: &'a Layout,
    pub(crate) reads: &'a Reads,
    pub(crate) mask: usize,
    pub(crate) progress: &'a Progress,
    pub(crate) tamper: &'a T,
}

impl<T: Tamper> Maker<'_, T> {
    /// The matrix of a round from its columns, padded, in the rows' natural order.
    pub(crate) fn matrix(
        &self,
        round: usize,
        columns: Vec<Val>,
        coins: impl Fn(usize) -> Coins,
        clock: &mut Clock,
    ) -> Result<Matrix, ProveError> {
        let trees = &self.layout.rounds[round].trees;
        let coins: Vec<Coins> = trees.iter().map(|tree| coins(*tree)).collect();
        let widths = trees.iter().map(|tree| self.layout.trees[*tree].width);
        let streams = coins
            .iter()
            .zip(widths.clone())
            .flat_map(|(coins, width)| (0..width).map(|column| coins.masks.stream(column as u64)));
        let width = padded(widths.clone().sum());
        let mut polynomials = masked(self.dft, RowMajorMatrix::new(columns, width), self.mask, streams.enumerate());
        self.tamper.polynomials(round, &mut polynomials);
        self.progress.check()?;
        let rows_on = self.reads.rows_of(round);
        let small = rows_on.map(|rows| on_small(self.dft, &polynomials, rows)).collect();
        self.progress.check()?;
        let words = words(self.dft, polynomials);
        clock.lap("LDE");
        let mut from = 0;
        let mut made = Vec::with_capacity(trees.len());
        for ((tree, width), coins) in trees.iter().zip(widths).zip(coins) {
            self.progress.check()?;
            made.push((*tree, from, committed(&words, from, width, coins.salts)));
            from += width;
        }
        clock.lap("hashing");
        Ok(Matrix { words, small, trees: made })
    }
}

/// The tree over some columns of words.
#[must_use]
pub fn committed(words: &Words, from: usize, width: usize, salts: Seed) -> Tree {
    Tree::new(2 << words.log_half, width, Some(salts), |index, out| {
        out.copy_from_slice(&words.row(index)[from..from + width]);
    })
}
