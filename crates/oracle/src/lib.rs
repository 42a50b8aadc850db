//! The relations of `zk-autograd-air` stated a second time, in Plonky3's terms, from the rules' text and not from that crate's code.
//!
//! [`relations`] is the second statement. [`verdict`] judges small traces by it, with Plonky3's own checkers, and by the first
//! statement, row by row; the tests hold the two against each other. [`stark`] proves the second statement with Plonky3's batch
//! STARK: the tests prove a few traces with it, and `peers` measures it in its hiding mode. [`sample`] makes traces, [`forge`]
//! breaks them as a dishonest prover would, [`machine`] measures what the machine can do.

pub mod forge;
pub mod json;
pub mod machine;
pub mod relations;
pub mod sample;
pub mod stark;
pub mod verdict;
