//! The relations of `zk-autograd-air` stated a second time, in Plonky3's terms, from the rules' text and not from that crate's code.
//!
//! [`segment`] names the columns, [`relations`] is the second statement, [`table`] what its lookups look into. [`verdict`] judges
//! small traces by it, with Plonky3's own checkers, and by the first statement, row by row; the tests hold the two against each
//! other. [`stark`] proves the second statement with Plonky3's batch STARK: the tests prove a few traces with it, and `peers`
//! measures it in its hiding mode. [`sample`] makes traces, [`forge`] breaks them as a dishonest prover would, [`golden`] writes
//! some of both for the third statement, in Python. [`machine`] measures what the machine can do.

pub mod forge;
pub mod golden;
pub mod json;
pub mod machine;
pub mod relations;
pub mod sample;
pub mod segment;
pub mod stark;
pub mod table;
pub mod verdict;
