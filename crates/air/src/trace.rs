//! The columns of a row from a state and a gradient: what an honest prover commits to.

use crate::constants::PERIODIC;
use crate::field::Val;
use crate::gradient;
use crate::relations::Air;
use crate::row::Writer;

pub use crate::row::{OutOfRange, State};

/// Writes the columns of one row, the gradient's last, and gives the state after it. `periodic` is the step's entry of
/// [`crate::constants::SegmentConstants`]; the state is expected in the range that the rules document gives.
///
/// # Errors
/// If a quantity of the step has no columns that stand for it.
///
/// # Panics
/// If `row` is not as long as [`Air::columns`].
pub fn fill_row(
    air: &Air,
    periodic: &[i64; PERIODIC],
    state: State,
    gradient: i64,
    row: &mut [Val],
) -> Result<State, OutOfRange> {
    let mut writer = Writer::new(row);
    let after = air.rule().fill(air.segment(), periodic, state, gradient, &mut writer)?;
    gradient::fill(gradient, &mut writer)?;
    assert!(writer.is_full(), "a row of another description");
    Ok(after)
}
