//! What a kind of table is made of: trees, rounds of messages and opening points as data, and
//! relations as one function.
//!
//! Prover and verifier loop over a [`Layout`]; neither knows what its columns mean. The optimizer's
//! table stands in [`crate::segment`]. A table has n = N T rows: N lines of T rows each.

use p3_field::{Algebra, PrimeCharacteristicRing};
use zk_autograd_air::{Collected, Ext, Val};

use crate::codec::extension;
use crate::lengths::{Domain, Lengths};
use crate::parameters::SALT_BYTES;
use crate::sealed::Sealed;

/// Base columns of the quotient's tree: two parts and the mask of the batch, all over the
/// extension.
pub const QUOTIENT_COLUMNS: usize = 6;

/// The quotient's tree, which every table has.
pub const QUOTIENT: Tree =
    Tree { name: "quotient", width: QUOTIENT_COLUMNS, salt: SALT_BYTES, domain: Domain::Rows, root: Root::Sent };

/// Where the verifier has a tree's root from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Root {
    /// From the proof.
    Sent,
    /// From the statement, with a seal; the name is that of the commitment in errors.
    Sealed(&'static str),
}

/// A Merkle tree over words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tree {
    /// The name in errors.
    pub name: &'static str,
    /// Base columns in a leaf.
    pub width: usize,
    /// Bytes of randomness in a leaf.
    pub salt: usize,
    /// What its words are functions on.
    pub domain: Domain,
    /// Where its root comes from.
    pub root: Root,
}

/// Some trees, and the challenges that are drawn when they are fixed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Round {
    /// The trees whose columns the prover makes now, side by side; those roots that aren't sealed
    /// are sent, in this order.
    pub trees: Vec<usize>,
    /// Bits of the proof of work before the challenges, and their name in errors.
    pub work: Option<(usize, &'static str)>,
    /// How many challenges are drawn. The last one of the last round joins the relations.
    pub challenges: usize,
}

/// Which function of a tree's columns is opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Part {
    /// A column over the base field.
    Base(usize),
    /// A column over the extension: that base column and the next one.
    Extension(usize),
    /// A sum of base columns with these factors.
    Sum(Vec<(usize, Ext)>),
}

impl Part {
    /// The base columns with their factors.
    #[must_use]
    pub fn terms(&self) -> Vec<(usize, Ext)> {
        match self {
            Self::Base(column) => vec![(*column, Ext::ONE)],
            Self::Extension(column) => vec![(*column, Ext::ONE), (*column + 1, extension(Val::ZERO, Val::ONE))],
            Self::Sum(terms) => terms.clone(),
        }
    }
}

/// A point at which columns are opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Point {
    /// `g^k z`, with z the out-of-domain point and g the rows' generator: what stands k rows on.
    /// The value is sent.
    Row(i64),
    /// The point at which the tree's root is sealed. The value is the seal's.
    Seal,
}

/// A claim that some columns of a tree have some value at a point.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Opening {
    /// The tree.
    pub tree: usize,
    /// What of it.
    pub part: Part,
    /// Where.
    pub point: Point,
}

impl Opening {
    /// A column over the base field, `rows` rows on.
    #[must_use]
    pub const fn base(tree: usize, column: usize, rows: i64) -> Self {
        Self { tree, part: Part::Base(column), point: Point::Row(rows) }
    }

    /// The column over the extension of that number, `rows` rows on: in a tree all of whose columns
    /// are over the extension.
    #[must_use]
    pub const fn extension(tree: usize, number: usize, rows: i64) -> Self {
        Self { tree, part: Part::Extension(2 * number), point: Point::Row(rows) }
    }

    /// A sealed part of a tree.
    #[must_use]
    pub const fn sealed(tree: usize, part: Part) -> Self {
        Self { tree, part, point: Point::Seal }
    }
}

/// A table's trees, rounds and openings.
///
/// What a layout has to hold for a proof to mean something, and a test of each table checks: every
/// column is opened at z, or, of lines, at the point of its tie; every sealed tree at its seal; sealed
/// trees over rows stand in the first round, as they are in the transcript before all messages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layout {
    /// The trees, in the order in which a proof opens them.
    pub trees: Vec<Tree>,
    /// Which of them is [`QUOTIENT`].
    pub quotient: usize,
    /// The rounds before the quotient.
    pub rounds: Vec<Round>,
    /// The openings in the order in which a proof holds their values, and in which the batch
    /// challenge's powers weigh them.
    pub openings: Vec<Opening>,
    /// The openings that [`Row::base`] consists of.
    pub base: Vec<usize>,
    /// The openings that [`Row::extension`] consists of.
    pub extension: Vec<usize>,
}

impl Layout {
    /// The trees whose roots are sealed: the order of a table's commitments.
    pub fn sealed(&self) -> impl Iterator<Item = usize> {
        (0..self.trees.len()).filter(|tree| matches!(self.trees[*tree].root, Root::Sealed(_)))
    }

    /// How many openings' values are sent.
    #[must_use]
    pub fn sent(&self) -> usize {
        self.openings.iter().filter(|opening| opening.point != Point::Seal).count()
    }

    /// The value that each opening claims: the one that was sent, or the seal's. `None` for another
    /// number of either.
    #[must_use]
    pub fn claims(&self, sent: &[Ext], sealed: &[Sealed]) -> Option<Vec<Ext>> {
        let mut seals = vec![None; self.trees.len()];
        let mut rest = sealed.iter();
        for tree in self.sealed() {
            seals[tree] = Some(rest.next()?.value);
        }
        let mut sent = sent.iter().copied();
        let claims: Vec<Ext> = self
            .openings
            .iter()
            .map(|opening| if opening.point == Point::Seal { seals[opening.tree] } else { sent.next() })
            .collect::<Option<_>>()?;
        (sent.next().is_none() && rest.next().is_none()).then_some(claims)
    }
}

/// What of a row its relations are about. The order is the table's own: [`Layout::base`] and
/// [`Layout::extension`].
#[derive(Clone, Copy, Debug)]
pub struct Row<'a, V, E> {
    /// Columns over the base field, here and some rows on.
    pub base: &'a [V],
    /// Columns over the extension.
    pub extension: &'a [E],
    /// The public columns that depend on the place within the line: [`Table::periodic`].
    pub periodic: &'a [V],
    /// The looked-up table's entry: the row's number modulo 2^16.
    pub range: V,
}

/// The rows on which a relation holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// All.
    Everywhere,
    /// All but the last one of each line.
    Between,
    /// The first one of each line.
    First,
    /// The last one of each line.
    Last,
}

/// How many places there are.
pub const PLACES: usize = 4;

/// Where a row's relations go, in the order in which the composition challenge's powers weigh them.
pub trait Relations<V, E> {
    /// `value` is zero there.
    fn base(&mut self, place: Place, value: V);

    /// `value`, over the extension, is zero there.
    fn extension(&mut self, place: Place, value: E);

    /// `value` is what the column of lines under that opening says of the row's line. The place is
    /// the line's first row and the opening at z, or the line's last row and the opening at
    /// `g^(1-T) z`: there the column's argument is the line.
    fn tied(&mut self, place: Place, value: V, opening: usize);
}

/// A kind of table, with all that is public of one.
pub trait Table: Sync {
    /// The lengths of its words.
    fn lengths(&self) -> &Lengths;

    /// Its trees, rounds and openings.
    fn layout(&self) -> Layout;

    /// The bytes that begin the transcript. They determine the relations, the lengths, all public
    /// values and the commitments.
    fn beginning(&self, sealed: &[Sealed]) -> Vec<u8>;

    /// The public columns that depend on the place within the line, by that place; none if there
    /// are none.
    fn periodic(&self) -> Vec<Vec<Val>>;

    /// The relations of one row: `challenges` are those of the rounds without the last one,
    /// `scratch` is room that is kept from row to row. The degree is at most 3 where a relation
    /// holds everywhere, else 2.
    fn relations<V, E, R>(&self, row: &Row<'_, V, E>, challenges: &[E], scratch: &mut Collected<V>, relations: &mut R)
    where
        V: PrimeCharacteristicRing + Copy,
        E: Algebra<V> + Copy,
        R: Relations<V, E>;
}

/// A tie of a relation to a column of lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tie {
    /// The relation's number.
    pub relation: usize,
    /// Where it holds.
    pub place: Place,
    /// The opening of the column.
    pub opening: usize,
}

/// How many relations a table has, and which of them are ties.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// The number of relations.
    pub relations: usize,
    /// The ties.
    pub ties: Vec<Tie>,
}

impl Plan {
    /// The plan of a table, from its relations.
    #[must_use]
    pub fn new(table: &impl Table, layout: &Layout) -> Self {
        let mut plan = Self::default();
        let periodic = vec![Ext::ZERO; table.periodic().first().map_or(0, Vec::len)];
        let (base, extension) = (vec![Ext::ZERO; layout.base.len()], vec![Ext::ZERO; layout.extension.len()]);
        let row = Row { base: &base, extension: &extension, periodic: &periodic, range: Ext::ZERO };
        let challenges: usize = layout.rounds.iter().map(|round| round.challenges).sum();
        table.relations(&row, &vec![Ext::ZERO; challenges], &mut Collected::default(), &mut plan);
        plan
    }
}

impl<V, E> Relations<V, E> for Plan {
    fn base(&mut self, _place: Place, _value: V) {
        self.relations += 1;
    }

    fn extension(&mut self, _place: Place, _value: E) {
        self.relations += 1;
    }

    fn tied(&mut self, place: Place, _value: V, opening: usize) {
        self.ties.push(Tie { relation: self.relations, place, opening });
        self.relations += 1;
    }
}
