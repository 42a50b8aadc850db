//! The relations as text, from the same description that proves and verifies: what a digest of them is taken of.

use core::fmt::Write as _;
use core::ops::{Add, Mul, Sub};

use crate::constants::Periodic;
use crate::gradient;
use crate::relations::{Air, evaluate};
use crate::segment::Segment;
use crate::sink::{Sink, Value};

/// An expression's text and its degree in the columns.
#[derive(Clone, Debug)]
pub struct Symbol {
    text: String,
    degree: usize,
}

impl Symbol {
    /// A column, or a periodic one: degree 1.
    #[must_use]
    pub fn column(name: &str) -> Self {
        Self { text: name.to_owned(), degree: 1 }
    }

    /// The degree in the columns.
    #[must_use]
    pub const fn degree(&self) -> usize {
        self.degree
    }

    /// The text, fully parenthesised.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    fn joined(self, operator: char, other: &Self, degree: usize) -> Self {
        Self { text: format!("({} {operator} {})", self.text, other.text), degree }
    }
}

impl Add for Symbol {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        let degree = self.degree.max(other.degree);
        self.joined('+', &other, degree)
    }
}

impl Sub for Symbol {
    type Output = Self;
    fn sub(self, other: Self) -> Self {
        let degree = self.degree.max(other.degree);
        self.joined('-', &other, degree)
    }
}

impl Mul for Symbol {
    type Output = Self;
    #[allow(clippy::suspicious_arithmetic_impl)] // degrees add up
    fn mul(self, other: Self) -> Self {
        let degree = self.degree + other.degree;
        self.joined('*', &other, degree)
    }
}

impl Value for Symbol {
    fn int(value: i64) -> Self {
        Self { text: value.to_string(), degree: 0 }
    }
}

/// The relations by name.
#[derive(Clone, Debug, Default)]
pub struct Description {
    /// Name and expression of each zero.
    pub zeros: Vec<(&'static str, Symbol)>,
    /// Name and expression of each lookup.
    pub ranges: Vec<(&'static str, Symbol)>,
    /// The states after the row.
    pub nexts: Vec<Symbol>,
}

impl Sink<Symbol> for Description {
    fn zero(&mut self, name: &'static str, value: Symbol) {
        self.zeros.push((name, value));
    }

    fn range(&mut self, name: &'static str, value: Symbol) {
        self.ranges.push((name, value));
    }

    fn next(&mut self, _state: usize, value: Symbol) {
        self.nexts.push(value);
    }
}

/// The description of `air`.
#[must_use]
pub fn describe(air: &Air) -> Description {
    let columns: Vec<Symbol> = air.columns().into_iter().map(Symbol::column).collect();
    let periodic = Periodic::from_array(["active", "LR", "E", "D"].map(Symbol::column));
    let mut description = Description::default();
    evaluate(air, &columns, &periodic, &mut description);
    description
}

/// How many relations, lookups and states a row has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counts {
    /// Columns committed together.
    pub main: usize,
    /// The gradient's.
    pub gradient: usize,
    /// Relations that are zero.
    pub zeros: usize,
    /// Lookups.
    pub ranges: usize,
    /// States.
    pub states: usize,
}

/// Counts what `air` has.
#[must_use]
pub fn counts(air: &Air) -> Counts {
    let description = describe(air);
    Counts {
        main: air.main_columns().len(),
        gradient: gradient::COLUMNS.len(),
        zeros: description.zeros.len(),
        ranges: description.ranges.len(),
        states: description.nexts.len(),
    }
}

/// The canonical text of `air`: one line for each column, relation, lookup and state.
#[must_use]
pub fn text(air: &Air) -> String {
    let description = describe(air);
    let mut text = String::new();
    let (rule, segment) = (air.rule().name(), air.segment());
    let Segment { s, decay, weights_in_range, first, second } = segment;
    let _ = writeln!(text, "air {rule} s={s} decay={decay} weights_in_range={weights_in_range}");
    let _ = writeln!(text, "coefficients {first} {second}");
    let _ = writeln!(text, "columns {}", air.columns().join(" "));
    for (_, zero) in &description.zeros {
        let _ = writeln!(text, "zero {}", zero.text);
    }
    for (_, range) in &description.ranges {
        let _ = writeln!(text, "range {}", range.text);
    }
    for (state, next) in air.rule().states().iter().zip(&description.nexts) {
        let _ = writeln!(text, "next {state} = {}", next.text);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::relations::Variant;
    use crate::rules::Rule;

    #[test]
    fn every_zero_and_state_has_degree_two_at_most_and_every_lookup_one() {
        for rule in Rule::ALL {
            for s in [15, 30] {
                for decay in [false, true] {
                    for weights_in_range in [false, true] {
                        let description = describe(&Air::generic(&Variant { rule, s, decay, weights_in_range }));
                        for (name, zero) in &description.zeros {
                            assert!(zero.degree() <= 2, "{rule:?} {name}: {}", zero.text());
                        }
                        for (name, range) in &description.ranges {
                            assert_eq!(range.degree(), 1, "{rule:?} {name}: {}", range.text());
                        }
                        for next in &description.nexts {
                            assert!(next.degree() <= 2, "{rule:?} {}", next.text());
                        }
                        assert_eq!(description.nexts.len(), rule.states().len());
                    }
                }
            }
        }
    }

    #[test]
    fn adam_takes_22_columns_and_23_lookups() {
        let counts = counts(&Air::generic(&Variant { rule: Rule::Adam, s: 0, decay: false, weights_in_range: false }));
        assert_eq!((counts.main + counts.gradient, counts.ranges), (22, 23));
    }
}
