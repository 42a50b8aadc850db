//! The exact integer step of every rule as an algebraic intermediate representation: columns, relations and lookups over the
//! Goldilocks field, written once and evaluated over packed field elements (prover), over the extension (verifier), over
//! integers (explanations) and over symbols (descriptions, degrees).
//!
//! One row of the trace is one step of one parameter. Every *range lookup* says that a value lies in `0 .. 2^16`; every *zero*
//! is a relation on each row; every *next* is the value that a state takes after the row. The argument why the relations have
//! one solution stands beside them: in [`adam`], [`sgd`], [`lion`] and [`rmsprop`], in [`second_moment`] and [`sign`] where rules share
//! it, and in [`decay`].

//!
//! From the bottom up: [`sink`] and [`row`] (what relations and rows are written to),
//! [`constants`], [`segment`] (what a segment fixes), [`rule`] (what a rule is); [`gradient`],
//! [`decay`], [`second_moment`], [`sign`]; [`adam`], [`sgd`], [`lion`], [`rmsprop`]; [`rules`] (one row each), and on top [`relations`], [`trace`] and
//! [`describe`]. A new rule is a file of its own and a row in [`rules`].

pub mod adam;
pub mod constants;
pub mod decay;
pub mod describe;
pub mod field;
pub mod gradient;
pub mod lion;
pub mod relations;
pub mod rmsprop;
pub mod row;
pub mod rule;
pub mod rules;
pub mod second_moment;
pub mod segment;
pub mod sgd;
pub mod sign;
pub mod sink;
#[cfg(test)]
mod toy;
pub mod trace;

pub use constants::{Periodic, StepConstants};
pub use field::{Ext, Val};
pub use relations::{Air, Variant, evaluate};
pub use rule::RuleError;
pub use rules::Rule;
pub use sink::{Collected, Sink, Value};
