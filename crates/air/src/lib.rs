//! The exact integer step of every rule as an algebraic intermediate representation: columns, relations and lookups over the
//! Goldilocks field, written once and evaluated over packed field elements (prover), over the extension (verifier), over
//! integers (explanations) and over symbols (descriptions, degrees).
//!
//! One row of the trace is one step of one parameter. Every *range lookup* says that a value lies in `0 .. 2^16`; every *zero*
//! is a relation on each row; every *next* is the value that a state takes after the row. The argument why the relations have
//! one solution stands beside them, in [`adam`] and [`sgd`].

pub mod adam;
pub mod constants;
pub mod decay;
pub mod describe;
pub mod field;
pub mod relations;
pub mod rule;
pub mod sgd;
pub mod trace;

pub use constants::{Periodic, StepConstants};
pub use field::{Ext, Val};
pub use relations::{Collected, Sink, Value, evaluate};
pub use rule::{Air, Rule, RuleError};
