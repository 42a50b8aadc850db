//! The exact step of every update rule over the state of a whole model, in one pass over memory.
//!
//! What Python's `core.rules` defines on int64 vectors is computed here on packed state (`plane`), block by block
//! (`block`), by as many threads as are asked for (`threads`), with the widest vectors that the machine has ([`arch`]).
//! No element's value decides what is executed or which address is touched: divisions and roots begin with a float and
//! are corrected exactly (`round`), what is out of its range raises a flag, and a step with a flag is taken back as a
//! whole (`stepper`). What was wrong, and with which element, is for the definition in Python to say.

// A loop is compiled for each set of instructions as far as it is inlined into the function that has them; in it, `|` on
// booleans keeps branches out, and an index keeps the arrays apart that a vector is made of.
#![allow(clippy::inline_always, clippy::needless_bitwise_bool, clippy::needless_range_loop)]

pub mod arch;
mod block;
mod formats;
mod parts;
mod plane;
mod round;
pub mod rules;
mod stepper;
mod stream;
mod threads;

pub use stepper::{Refusal, Source, Stepper, Tensor};
