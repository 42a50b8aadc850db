//! The stepper of `zk-autograd-kernel` for Python: `NumPy` arrays as slices, and back.

use std::sync::{Mutex, MutexGuard, PoisonError};

use numpy::{PyArray1, PyArrayMethods, PyReadonlyArray1, PyReadwriteArray1, PyUntypedArrayMethods};
use pyo3::create_exception;
use pyo3::exceptions::{PyException, PyMemoryError, PyValueError};
use pyo3::prelude::*;
use zk_autograd_kernel::arch::named;
use zk_autograd_kernel::{Refusal, Source, Stepper as Inner, Tensor, rules};

use crate::arguments::invalid;

create_exception!(
    _native,
    StepRefused,
    PyException,
    "A step that left everything as it was, or a state that no step leaves."
);
create_exception!(_native, SharedMemory, PyValueError, "Weights that overlap each other, or gradients.");

/// The rules that a [`Stepper`] can take steps of.
#[pyfunction]
pub fn kernel_rules() -> Vec<&'static str> {
    rules::names().collect()
}

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
        Inner::new(row, tensors, &slices).map(|inner| Self(Mutex::new(inner))).map_err(refused)
    }

    /// A step with integer gradients, int32, into `kept`.
    #[allow(clippy::needless_pass_by_value)]
    fn step(
        &self,
        py: Python<'_>,
        gradients: &Bound<'_, PyArray1<i32>>,
        kept: &Bound<'_, PyArray1<i32>>,
        constants: Constants,
        vectors: &str,
        threads: usize,
    ) -> PyResult<()> {
        let gradients = gradients.try_readonly().map_err(invalid)?;
        let source = Source::Integers(gradients.as_slice().map_err(invalid)?);
        self.take(py, source, kept, &constants, vectors, threads).map(|_| ())
    }

    /// A step with a model's own gradients under the scale 2^k; the weights are overwritten. How many saturated.
    #[allow(clippy::too_many_arguments, clippy::needless_pass_by_value)]
    fn step_model(
        &self,
        py: Python<'_>,
        gradients: Vec<Floats<'_>>,
        weights: Vec<Floats<'_>>,
        k: i32,
        kept: &Bound<'_, PyArray1<i32>>,
        constants: Constants,
        vectors: &str,
        threads: usize,
    ) -> PyResult<u64> {
        let mut weights = writable(&weights, &gradients)?;
        let borrowed = gradients.iter().map(PyArrayMethods::try_readonly).collect::<Result<Vec<_>, _>>();
        let borrowed = borrowed.map_err(invalid)?;
        let gradients = borrowed.iter().map(PyReadonlyArray1::as_slice).collect::<Result<_, _>>().map_err(invalid)?;
        let source = Source::Model { gradients, weights: slices(&mut weights)?, k };
        self.take(py, source, kept, &constants, vectors, threads)
    }

    /// Writes the floats of the weights.
    #[allow(clippy::needless_pass_by_value)]
    fn write(&self, py: Python<'_>, weights: Vec<Floats<'_>>) -> PyResult<()> {
        let mut weights = writable(&weights, &[])?;
        let mut slices = slices(&mut weights)?;
        py.detach(|| self.inner().write(&mut slices)).map_err(refused)
    }

    /// The state numbered `number`, int64.
    fn state<'py>(&self, py: Python<'py>, number: usize) -> PyResult<Bound<'py, PyArray1<i64>>> {
        let values = PyArray1::zeros(py, self.inner().size(), false);
        {
            let mut access = values.try_readwrite().map_err(invalid)?;
            let slice = access.as_slice_mut().map_err(invalid)?;
            py.detach(|| self.inner().read(number, slice)).map_err(refused)?;
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
        kept: &Bound<'_, PyArray1<i32>>,
        constants: &Constants,
        vectors: &str,
        threads: usize,
    ) -> PyResult<u64> {
        let arch = named(vectors).ok_or_else(|| invalid(format!("this machine has no vectors {vectors:?}")))?;
        let constants: Vec<_> = constants.iter().map(Vec::as_slice).collect();
        let mut kept = kept.try_readwrite().map_err(invalid)?;
        let kept = kept.as_slice_mut().map_err(invalid)?;
        py.detach(|| self.inner().step(source, kept, &constants, arch, threads)).map_err(refused)
    }
}

/// The constants of each group.
type Constants = Vec<Vec<i64>>;

type Floats<'py> = Bound<'py, PyArray1<f32>>;

/// The arrays as what will be written. None of them may overlap another, or one of those that are `read` at the same time:
/// the crate `numpy` tells that only for views of one array, and torch's aren't.
fn writable<'py>(arrays: &[Floats<'py>], read: &[Floats<'py>]) -> PyResult<Vec<PyReadwriteArray1<'py, f32>>> {
    let place = |array: &Floats<'py>, written| {
        let first = array.data() as usize;
        (first, first + array.len() * size_of::<f32>(), written)
    };
    let places = arrays.iter().map(|array| place(array, true)).chain(read.iter().map(|array| place(array, false)));
    let mut places: Vec<_> = places.filter(|(first, end, _)| first < end).collect();
    places.sort_unstable();
    let (mut end_read, mut end_written) = (0, 0);
    for (first, end, written) in places {
        if first < end_written || (written && first < end_read) {
            return Err(SharedMemory::new_err("weights share memory with each other, or with gradients"));
        }
        let so_far = if written { &mut end_written } else { &mut end_read };
        *so_far = end.max(*so_far);
    }
    arrays.iter().map(|array| array.try_readwrite().map_err(invalid)).collect()
}

fn slices<'a>(arrays: &'a mut [PyReadwriteArray1<'_, f32>]) -> PyResult<Vec<&'a mut [f32]>> {
    arrays.iter_mut().map(|array| array.as_slice_mut().map_err(invalid)).collect()
}

fn refused(refusal: Refusal) -> PyErr {
    match refusal {
        Refusal::Misfit(text) => invalid(text),
        Refusal::Memory => PyMemoryError::new_err("there is not enough memory for the packed state"),
        Refusal::Step => StepRefused::new_err(()),
    }
}
