//! All openings as one word: what the low-degree test is run on.
//!
//! A claim that f has the value v at a point z is that `(f - v) / (X - z)` is a polynomial. The
//! batch challenge's powers join these quotients, and a mask that stands before 1.

use p3_field::{Field, PrimeCharacteristicRing, TwoAdicField};
use zk_autograd_air::{Ext, Val};

use crate::codec::extension;
use crate::error::Error;
use crate::fri::SHIFT;
use crate::lengths::{Domain, Lengths};
use crate::sealed::{Sealed, Sort};
use crate::table::{Layout, Point, QUOTIENT_COLUMNS, Root};

/// The point of each opening.
///
/// # Errors
/// [`Error::Commitment`] if a commitment's proof of work is missing, or its point lies in the base
/// field; [`Error::Statement`] if there are too few commitments.
pub fn points(lengths: &Lengths, layout: &Layout, sealed: &[Sealed], out_of_domain: Ext) -> Result<Vec<Ext>, Error> {
    let generator = Val::two_adic_generator(lengths.log_rows());
    let mut seals = vec![Ext::ZERO; layout.trees.len()];
    let mut rest = sealed.iter();
    for (tree, point) in layout.trees.iter().zip(&mut seals) {
        if let Root::Sealed(name) = tree.root {
            let own = rest.next().ok_or_else(|| Error::Statement(format!("the commitment {name} is missing")))?;
            *point = own.point(Sort::Table, lengths.log_words(tree.domain), name)?;
        }
    }
    let opened = |point: Point, tree: usize| match point {
        Point::Seal => seals[tree],
        Point::Row(rows) => out_of_domain * power(generator, rows),
    };
    Ok(layout.openings.iter().map(|opening| opened(opening.point, opening.tree)).collect())
}

/// `generator^rows`.
#[must_use]
pub fn power(generator: Val, rows: i64) -> Val {
    let power = generator.exp_u64(rows.unsigned_abs());
    if rows < 0 { power.inverse() } else { power }
}

/// The openings of some columns at one point, joined.
#[derive(Clone, Debug)]
pub struct Group {
    /// What the columns are functions on.
    pub domain: Domain,
    /// The point.
    pub point: Ext,
    /// Trees, base columns of theirs, and what they are weighted by.
    pub terms: Vec<(usize, usize, Ext)>,
    /// What the sum of the terms is claimed to be at the point.
    pub claimed: Ext,
}

/// Joins the opened values of a query into the words that the low-degree test folds.
#[derive(Clone, Debug)]
pub struct Batch {
    /// The openings by domain and point.
    pub groups: Vec<Group>,
    quotient: usize,
}

impl Batch {
    /// Prepares what is the same for all queries: the claims and points of all openings, and the
    /// challenge's powers.
    #[must_use]
    pub fn new(layout: &Layout, claims: &[Ext], points: &[Ext], challenge: Ext) -> Self {
        let mut groups: Vec<Group> = Vec::new();
        // 1 stands before the mask.
        let weights = challenge.powers().skip(1);
        for (((opening, claim), point), weight) in layout.openings.iter().zip(claims).zip(points).zip(weights) {
            let domain = layout.trees[opening.tree].domain;
            let place = groups.iter().position(|group| group.domain == domain && group.point == *point);
            let place = place.unwrap_or_else(|| {
                groups.push(Group { domain, point: *point, terms: Vec::new(), claimed: Ext::ZERO });
                groups.len() - 1
            });
            let terms = opening.part.terms().into_iter();
            groups[place].terms.extend(terms.map(|(column, factor)| (opening.tree, column, weight * factor)));
            groups[place].claimed += weight * *claim;
        }
        Self { groups, quotient: layout.quotient }
    }

    /// The rows' word at a point of the subgroup. `row` gives what is opened of a tree there.
    #[must_use]
    pub fn rows<'a>(&self, point: Val, row: impl Fn(usize) -> &'a [Val]) -> Ext {
        mask(row(self.quotient)) + self.joined(Domain::Rows, point, row)
    }

    /// The lines' word at a point of the subgroup.
    #[must_use]
    pub fn lines<'a>(&self, point: Val, row: impl Fn(usize) -> &'a [Val]) -> Ext {
        self.joined(Domain::Lines, point, row)
    }

    fn joined<'a>(&self, domain: Domain, point: Val, row: impl Fn(usize) -> &'a [Val]) -> Ext {
        let x = SHIFT * point;
        let groups = self.groups.iter().filter(|group| group.domain == domain);
        groups
            .map(|group| {
                let sum: Ext = group.terms.iter().map(|(tree, column, weight)| *weight * row(*tree)[*column]).sum();
                // The point lies outside the base field, so the divisor isn't zero.
                (sum - group.claimed) * (Ext::from(x) - group.point).try_inverse().unwrap_or(Ext::ZERO)
            })
            .sum()
    }
}

/// The batch's mask in a row of the quotient's tree.
#[must_use]
pub fn mask(quotient: &[Val]) -> Ext {
    extension(quotient[QUOTIENT_COLUMNS - 2], quotient[QUOTIENT_COLUMNS - 1])
}
