//! The exact step of every update rule over the state of a whole model, in one pass over memory.
//!
//! What Python's `core.rules` defines on int64 vectors is computed here on packed state ([`plane`]), block by block
//! ([`block`]), by as many threads as are asked for ([`threads`]), with the widest vectors that the machine has
//! ([`arch`]). No element's value decides what is executed or which address is touched: divisions and roots begin with a
//! float and are corrected exactly ([`round`]), ranges are flags, and a step that raised one is taken back as a whole
//! ([`stepper`]). What was wrong, and with which element, is for the definition in Python to say.

pub mod arch;
pub mod block;
pub mod formats;
pub mod plane;
pub mod round;
pub mod rules;
pub mod stepper;
pub mod threads;

pub use stepper::{Source, Stepper, Tensor};
