//! What the journal of a run needs: digests, and integers in few bytes.

use pyo3::buffer::{Element, PyBuffer};
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedBytes;
use pyo3::types::PyBytes;
use zk_autograd_journal::{digest, pack, plan};

use crate::arguments::invalid;

/// Less than this is done before another thread of Python could begin.
const SHORT: usize = 1 << 16;

/// The BLAKE3 digest of some bytes objects, one after the other.
#[pyfunction]
#[allow(clippy::needless_pass_by_value)]
pub fn blake3(py: Python<'_>, pieces: Vec<PyBackedBytes>) -> Bound<'_, PyBytes> {
    let found = || digest(pieces.iter().map(|piece| &**piece));
    let short = pieces.iter().map(|piece| piece.len()).sum::<usize>() < SHORT;
    PyBytes::new(py, &if short { found() } else { py.detach(found) })
}

/// Least and greatest, table and data.
type Packed<'py> = (i64, i64, Bound<'py, PyBytes>, Bound<'py, PyBytes>);

/// A contiguous buffer of int32 or int64 in few bytes, with BLAKE3 digests: its extremes, its table and its data.
#[pyfunction]
pub fn pack_integers<'py>(py: Python<'py>, values: &Bound<'py, PyAny>) -> PyResult<Packed<'py>> {
    if let Ok(values) = PyBuffer::<i32>::get(values) {
        return packed(py, &values);
    }
    let values = PyBuffer::<i64>::get(values).map_err(|_| invalid("this is no buffer of int32 or int64"))?;
    packed(py, &values)
}

fn packed<'py, T: Element + Ord + Into<i64> + Send + Sync>(
    py: Python<'py>,
    values: &PyBuffer<T>,
) -> PyResult<Packed<'py>> {
    let values = values.to_vec(py)?;
    let plan = py.detach(|| plan(&values));
    let mut table = plan.widths.clone();
    let data = PyBytes::new_with(py, plan.bytes, |data| {
        table.extend(py.detach(|| pack(&values, &plan, data)));
        Ok(())
    })?;
    Ok((plan.low, plan.high, PyBytes::new(py, &table), data))
}
