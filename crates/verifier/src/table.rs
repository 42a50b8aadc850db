//! What a kind of table is made of: trees, rounds of messages and opening points as data, and
//! relations as one function.
//!
//! Prover and verifier loop over a [`Layout`]; neither knows what its columns mean. The optimizer's
//! table stands in [`crate::segment`]. A table has n = N T rows: N lines of T rows each.

use p3_field::{Algebra, PrimeCharacteristicRing};
use zk_autograd_air::{Collected, Ext, Val};

use crate::codec::extension;
use crate::error::Error;
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
/// What has to hold for a proof to mean something, and [`Layout::check`] refuses otherwise: every
/// root that is sent stands in one round, so that its challenges are drawn after it; the last round
/// draws the composition challenge; ties pair a line's first row with z, and its last with
/// `g^(1-T) z`; the quotient is opened as its two parts.
///
/// What it can't see, and a test of each table checks: every column is opened at z, or, of lines, at
/// the point of its tie; every sealed tree at its seal. And what is left to whoever writes a table:
/// * a seal binds all of its tree: of several columns it is a sum that has one solution in range, as
///   the gradient's is; a column beside it would be bound in this proof alone;
/// * a column is read at one further row at most, and lines are opened in two transcripts at most:
///   masks and salts were counted for that;
/// * [`Table::beginning`] names the kind of table, and determines its layout and lengths, the number
///   of queries among them;
/// * `soundness.rs` computes the bits of the optimizer's shapes: another table adds its own terms.
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

    /// Whether it means what [`Layout`] says, but for the ties.
    ///
    /// # Errors
    /// [`Error::Statement`]: the table is at fault, whatever the proof is.
    pub fn check(&self) -> Result<(), Error> {
        if self.trees.get(self.quotient) != Some(&QUOTIENT) {
            return fault("it has no quotient");
        }
        for (number, tree) in self.trees.iter().enumerate() {
            let rounds = self.rounds.iter().flat_map(|round| &round.trees).filter(|listed| **listed == number).count();
            if tree.root == Root::Sent && rounds != usize::from(number != self.quotient) {
                return fault("a root that is sent stands in one round, and the quotient's in none");
            }
        }
        if self.rounds.iter().flat_map(|round| &round.trees).any(|tree| *tree >= self.trees.len()) {
            return fault("a round has no such tree");
        }
        if self.rounds.last().is_none_or(|round| round.challenges == 0) {
            return fault("the last round draws no challenge");
        }
        for opening in &self.openings {
            let width = self.trees.get(opening.tree).map_or(0, |tree| tree.width);
            if opening.part.terms().iter().any(|(column, _)| *column >= width) {
                return fault("an opening has no such column");
            }
        }
        if self.base.iter().chain(&self.extension).any(|opening| *opening >= self.openings.len()) {
            return fault("a row has no such opening");
        }
        let own: Vec<&Opening> = self.openings.iter().filter(|opening| opening.tree == self.quotient).collect();
        if own != [&Opening::extension(self.quotient, 0, 0), &Opening::extension(self.quotient, 1, 0)] {
            return fault("the quotient is opened at z, its two parts in order");
        }
        Ok(())
    }

    /// Whether ties are what [`Relations::tied`] says. As [`Layout::check`].
    ///
    /// # Errors
    /// As there.
    pub fn check_ties(&self, ties: &[Tie], lengths: &Lengths) -> Result<(), Error> {
        let last = 1 - (1_i64 << lengths.log_steps);
        for tie in ties {
            let fits = self.openings.get(tie.opening).is_some_and(|opening| {
                let at_its_place = match tie.place {
                    Place::First => opening.point == Point::Row(0),
                    Place::Last => opening.point == Point::Row(last),
                    Place::Everywhere | Place::Between => false,
                };
                self.trees[opening.tree].domain == Domain::Lines && at_its_place
            });
            if !fits {
                return fault("a tie is to a column of lines, at z for the first row and at its like for the last");
            }
        }
        Ok(())
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

fn fault(what: &str) -> Result<(), Error> {
    Err(Error::Statement(format!("the table's layout is at fault: {what}")))
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
        // The last one is the composition challenge, which no relation is given.
        let challenges: usize = layout.rounds.iter().map(|round| round.challenges).sum();
        table.relations(&row, &vec![Ext::ZERO; challenges.saturating_sub(1)], &mut Collected::default(), &mut plan);
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
