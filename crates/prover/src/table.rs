//! What the prover needs of a kind of table beside its public part: columns, and the coins that
//! hide them.

use zk_autograd_air::{Ext, Val};
use zk_autograd_verifier::Table;
use zk_autograd_verifier::lengths::Domain;
use zk_autograd_verifier::table::{Layout, Point};

use crate::coins::Seed;
use crate::error::ProveError;
use crate::state::States;
use crate::words::Dft;

/// The coins of a tree over rows.
pub struct Coins {
    /// Of its columns' masks: one stream a column.
    pub masks: Seed,
    /// Of its leaves' salts.
    pub salts: Seed,
}

/// A table whose columns the prover knows.
pub trait Witnessed {
    /// The kind of table.
    type Table: Table;

    /// Its public part.
    fn table(&self) -> &Self::Table;

    /// The committed columns of lines, in the order of their trees, with `mask` random coefficients
    /// each.
    fn lines(&self, dft: &Dft, mask: usize) -> Vec<States>;

    /// The columns of a round's trees, side by side in the rows' natural order and padded to whole
    /// vectors. `challenges` are those of the rounds before.
    ///
    /// # Errors
    /// If the witness has no such columns.
    fn columns(&mut self, round: usize, challenges: &[Ext]) -> Result<Vec<Val>, ProveError>;

    /// The phase that a round's columns after the first are made in.
    fn phase(&self, _round: usize) -> &'static str {
        "columns"
    }

    /// The coins of a tree over rows that is not the quotient's.
    fn coins(&self, tree: usize) -> Coins;

    /// The seed of the quotient's coins.
    fn seed(&self) -> &Seed;
}

/// Where the prover has each tree's columns.
pub struct Places {
    /// For each tree over rows its matrix, one a round and then the quotient's, and its first
    /// column there.
    pub rows: Vec<Option<(usize, usize)>>,
    /// For each tree over lines its number among them.
    pub lines: Vec<Option<usize>>,
}

impl Places {
    /// The places of a layout's trees.
    #[must_use]
    pub fn new(layout: &Layout) -> Self {
        let mut rows = vec![None; layout.trees.len()];
        for (matrix, round) in layout.rounds.iter().enumerate() {
            let mut column = 0;
            for tree in &round.trees {
                rows[*tree] = Some((matrix, column));
                column += layout.trees[*tree].width;
            }
        }
        rows[layout.quotient] = Some((layout.rounds.len(), 0));
        let mut count = 0;
        let mut number = |domain| {
            count += usize::from(domain == Domain::Lines);
            (domain == Domain::Lines).then(|| count - 1)
        };
        Self { rows, lines: layout.trees.iter().map(|tree| number(tree.domain)).collect() }
    }
}

/// A matrix that the relations read, some rows on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slot {
    /// The matrix.
    pub matrix: usize,
    /// How many rows on.
    pub rows: i64,
}

/// Neighbouring columns of a slot.
#[derive(Clone, Debug)]
pub struct Run {
    /// The slot.
    pub slot: usize,
    /// The first base column.
    pub first: usize,
    /// How many elements, of one base column each or of two.
    pub count: usize,
}

/// What the relations read of a row, as the prover has it.
pub struct Reads {
    /// The slots.
    pub slots: Vec<Slot>,
    /// The row's elements of the base field.
    pub base: Vec<Run>,
    /// The row's elements of the extension.
    pub extension: Vec<Run>,
}

impl Reads {
    /// The reads of a layout.
    #[must_use]
    pub fn new(layout: &Layout, places: &Places) -> Self {
        let mut slots = Vec::new();
        let mut runs = |list: &[usize], width: usize| {
            let mut runs: Vec<Run> = Vec::new();
            for opening in list.iter().map(|opening| &layout.openings[*opening]) {
                let (Some((matrix, from)), Point::Row(rows)) = (places.rows[opening.tree], opening.point) else {
                    unreachable!("relations read columns of rows");
                };
                let slot = Slot { matrix, rows };
                let number = slots.iter().position(|own| *own == slot).unwrap_or_else(|| {
                    slots.push(slot);
                    slots.len() - 1
                });
                let first = from + opening.part.terms()[0].0;
                match runs.last_mut() {
                    Some(run) if run.slot == number && run.first + width * run.count == first => run.count += 1,
                    _ => runs.push(Run { slot: number, first, count: 1 }),
                }
            }
            runs
        };
        let (base, extension) = (runs(&layout.base, 1), runs(&layout.extension, 2));
        Self { slots, base, extension }
    }

    /// How many rows on a matrix is read, in the order of the slots.
    pub fn rows_of(&self, matrix: usize) -> impl Iterator<Item = i64> {
        self.slots.iter().filter(move |slot| slot.matrix == matrix).map(|slot| slot.rows)
    }
}
