//! What a hostile prover tries: the proofs are complete, and made by a prover that lies in one place.

mod support;

#[path = "hostile/bytes.rs"]
mod bytes;
#[path = "hostile/extremes.rs"]
mod extremes;
#[path = "hostile/forged.rs"]
mod forged;
#[path = "hostile/liar.rs"]
mod liar;
#[path = "hostile/masks.rs"]
mod masks;
#[path = "hostile/protocol.rs"]
mod protocol;
#[path = "hostile/rows.rs"]
mod rows;
#[path = "hostile/solutions.rs"]
mod solutions;
#[path = "hostile/traces.rs"]
mod traces;
