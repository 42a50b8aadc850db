//! The protocol of the native STARK, and its verifier.
//!
//! A proof shows that a block of parameters went through a segment of steps by the rule that [`zk_autograd_air`] describes, from one
//! committed state to the next, with a committed gradient. `docs/soundness.md` states the theorem and its argument.
//!
//! What prover and verifier share stands here, in the order of the protocol: [`statement`] (the
//! public part), [`shape`] and [`parameters`] (sizes that follow from it), [`transcript`],
//! [`merkle`], [`sealed`] (commitments that chain), [`table`] (what a kind of table is made of, as
//! data) and [`segment`] (the optimizer's), [`lookups`] and [`composition`] (the identity that is
//! checked at one point), [`batch`] (all openings as one word), [`fri`], [`codec`] (bytes), and
//! then [`verify`].

pub mod batch;
pub mod codec;
pub mod composition;
pub mod digest;
pub mod error;
pub mod fri;
pub mod lengths;
pub mod lookups;
pub mod merkle;
pub mod parameters;
pub mod range;
pub mod sealed;
pub mod segment;
pub mod shape;
pub mod soundness;
pub mod statement;
pub mod table;
pub mod transcript;
pub mod verify;

pub use error::Error;
pub use lengths::Lengths;
pub use parameters::Preset;
pub use shape::Shape;
pub use statement::{Commitments, Statement};
pub use table::Table;
pub use verify::{verify, verify_table};
