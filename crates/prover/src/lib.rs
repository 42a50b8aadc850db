//! The prover of the native STARK: from a witness and its coins to a proof that [`zk_autograd_verifier`] accepts.
//!
//! The order of the work is that of the protocol: [`witness`] (the trace, checked row by row),
//! [`words`] (masked polynomials and their words), [`tree`], [`state`] (commitments that chain),
//! [`matrix`] (a round's columns), [`lookups`], [`quotient`], [`opening`] (out-of-domain values and
//! the batch), [`fri`]; [`prove`] runs them. It does so for every kind of table: [`table`] says
//! what a prover has to know of one, and `segment` is the optimizer's.
//!
//! [`tamper`] is for tests and attacks: a prover that lies goes through the honest one's code, and
//! is told where to lie.

pub mod coins;
pub mod error;
pub mod fri;
pub mod gradient;
pub mod lookups;
pub mod matrix;
pub mod memory;
pub mod opening;
pub mod packed;
pub mod progress;
pub mod prove;
pub mod quotient;
mod segment;
pub mod small;
pub mod state;
pub mod table;
pub mod tamper;
pub mod tree;
pub mod witness;
pub mod words;
pub mod work;

pub use error::{ProveError, WitnessError};
pub use gradient::commit_gradients;
pub use progress::{Phases, Progress};
pub use prove::{Masking, Proof, TableProof, prove, prove_table};
pub use state::{StateSecret, commit, commit_all, commit_data};
pub use witness::{Salts, Witness};
