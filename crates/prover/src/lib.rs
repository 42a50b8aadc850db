//! The prover of the native STARK: from a witness and its coins to a proof that [`zk_autograd_verifier`] accepts.
//!
//! The order of the work is that of the protocol: [`witness`] (the trace, checked row by row), [`words`] (masked polynomials and
//! their words), [`tree`], [`state`] (commitments that chain), [`lookups`], [`quotient`], [`opening`] (out-of-domain values and the
//! batch), [`fri`]; [`prove`] runs them.

pub mod coins;
pub mod error;
pub mod fri;
pub mod lookups;
pub mod memory;
pub mod opening;
pub mod packed;
pub mod prove;
pub mod quotient;
pub mod state;
pub mod tree;
pub mod witness;
pub mod words;
pub mod work;

pub use error::{ProveError, WitnessError};
pub use prove::{Masking, Phases, Progress, Proof, prove};
pub use state::{StateSecret, commit};
pub use witness::{Salts, Witness};
