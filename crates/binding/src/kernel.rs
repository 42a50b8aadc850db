//! The stepper of `zk-autograd-kernel` for Python: `NumPy` arrays as slices, and back.

use std::sync::{Mutex, MutexGuard, PoisonError};

use numpy::{PyArray1, PyArrayMethods, PyReadonlyArray1, PyReadwriteArray1};
use pyo3::create_exception;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use zk_autograd_kernel::arch::named;
use zk_autograd_kernel::stepper::{Misfit, Refusal};
use zk_autograd_kernel::{Source, Stepper as Inner, Tensor, rules};

use crate::arguments::invalid;

create_exception!(_native, StepRefused, PyValueError, "A step that left everything as it was.");

/// The packed state of a model's parameters.
#[pyclass(frozen)]
pub struct Stepper(Mutex<Inner>);

impl Stepper {
    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[pymethods]
impl Stepper {
    /// A stepper of a rule: `tensors` have a size and a group each, `state` is int64, in the order of the rule's states.
    #[new]
    #[allow(clippy::needless_pass_by_value)]
    fn new(rule: &str, tensors: Vec<(usize, usize)>, state: Vec<PyReadonlyArray1<'_, i64>>) -> PyResult<Self> {
        let row = rules::row(rule).ok_or_else(|| invalid(format!("there is no rule {rule:?}")))?;
        let slices = state.iter().map(PyReadonlyArray1::as_slice).collect::<Result<Vec<_>, _>>().map_err(invalid)?;
        let tensors = tensors.into_iter().map(|(size, group)| Tensor { size, group }).collect();
        Inner::new(row, tensors, &slices).map(|inner| Self(Mutex::new(inner))).map_err(misfit)
    }

    /// A step with integer gradients, int32, into `kept`.
    #[allow(clippy::needless_pass_by_value)]
    fn step(
        &self,
        py: Python<'_>,
        gradients: PyReadonlyArray1<'_, i32>,
        kept: PyReadwriteArray1<'_, i32>,
        constants: Vec<Vec<i64>>,
        vectors: &str,
        threads: usize,
    ) -> PyResult<()> {
        let integers = gradients.as_slice().map_err(invalid)?;
        self.take(py, Source::Integers(integers), kept, &constants, vectors, threads).map(|_| ())
    }

    /// A step with a model's own gradients under the scale 2^k; the weights are overwritten. How many saturated.
    #[allow(clippy::too_many_arguments, clippy::needless_pass_by_value)]
    fn step_model(
        &self,
        py: Python<'_>,
        gradients: Vec<PyReadonlyArray1<'_, f32>>,
        mut weights: Vec<PyReadwriteArray1<'_, f32>>,
        k: i32,
        kept: PyReadwriteArray1<'_, i32>,
        constants: Vec<Vec<i64>>,
        vectors: &str,
        threads: usize,
    ) -> PyResult<u64> {
        let gradients = gradients.iter().map(PyReadonlyArray1::as_slice).collect::<Result<_, _>>().map_err(invalid)?;
        let weights = slices(&mut weights)?;
        self.take(py, Source::Model { gradients, weights, k }, kept, &constants, vectors, threads)
    }

    /// Writes the floats of the weights.
    fn write(&self, py: Python<'_>, mut weights: Vec<PyReadwriteArray1<'_, f32>>) -> PyResult<()> {
        let mut slices = slices(&mut weights)?;
        py.detach(|| self.inner().write(&mut slices)).map_err(misfit)
    }

    /// The state numbered `number`, int64.
    fn state<'py>(&self, py: Python<'py>, number: usize) -> PyResult<Bound<'py, PyArray1<i64>>> {
        let values = PyArray1::zeros(py, self.inner().size(), false);
        {
            let mut access = values.try_readwrite().map_err(invalid)?;
            let slice = access.as_slice_mut().map_err(invalid)?;
            py.detach(|| self.inner().read(number, slice)).map_err(misfit)?;
        }
        Ok(values)
    }

    /// Takes the last step back. False if there is none.
    fn undo(&self) -> bool {
        self.inner().undo()
    }
}

impl Stepper {
    fn take(
        &self,
        py: Python<'_>,
        source: Source<'_>,
        mut kept: PyReadwriteArray1<'_, i32>,
        constants: &[Vec<i64>],
        vectors: &str,
        threads: usize,
    ) -> PyResult<u64> {
        let arch = named(vectors).ok_or_else(|| invalid(format!("this machine has no vectors {vectors:?}")))?;
        let constants: Vec<_> = constants.iter().map(Vec::as_slice).collect();
        let kept = kept.as_slice_mut().map_err(invalid)?;
        py.detach(|| self.inner().step(source, kept, &constants, arch, threads)).map_err(|refusal| match refusal {
            Refusal::Misfit(error) => misfit(error),
            Refusal::Step => StepRefused::new_err(()),
        })
    }
}

fn slices<'a>(arrays: &'a mut [PyReadwriteArray1<'_, f32>]) -> PyResult<Vec<&'a mut [f32]>> {
    arrays.iter_mut().map(|array| array.as_slice_mut().map_err(invalid)).collect()
}

fn misfit(error: Misfit) -> PyErr {
    invalid(error.0)
}
