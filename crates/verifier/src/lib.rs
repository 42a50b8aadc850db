//! The protocol of the native STARK, and its verifier.
//!
//! A proof shows that a block of parameters went through a segment of steps by the rule that [`zk_autograd_air`] describes, from one
//! committed state to the next, with a committed gradient. `docs/soundness.md` states the theorem and its argument.
//!
//! What prover and verifier share stands here, in the order of the protocol: [`statement`] (the public part), [`shape`] and
//! [`parameters`] (sizes that follow from it), [`transcript`], [`merkle`], [`sealed`] (commitments that chain), [`lookups`] and
//! [`composition`] (the identity that is checked at one point), [`fri`], [`codec`] (bytes), and then [`verify`].

pub mod codec;
pub mod composition;
pub mod error;
pub mod fri;
pub mod lookups;
pub mod merkle;
pub mod parameters;
pub mod sealed;
pub mod shape;
pub mod soundness;
pub mod statement;
pub mod table;
pub mod transcript;
pub mod verify;

pub use error::Error;
pub use parameters::Preset;
pub use shape::Shape;
pub use statement::{Commitments, Statement};
pub use verify::verify;
