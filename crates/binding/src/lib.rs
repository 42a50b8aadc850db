//! The Python module `zk_autograd._native`: it translates between Python's types and those of the crates beside it,
//! and holds no logic of its own. Its signatures for type checkers stand in `src/zk_autograd/_native.pyi`.

use pyo3::pymodule;

mod arguments;
mod journal;
mod kernel;

/// The compiled part of `zk_autograd`.
#[pymodule]
mod _native {
    use std::panic::{AssertUnwindSafe, catch_unwind};
    use std::sync::mpsc::{RecvTimeoutError, channel};
    use std::sync::{Arc, Mutex, OnceLock, PoisonError};
    use std::time::Duration;

    use pyo3::create_exception;
    use pyo3::exceptions::{PyRuntimeError, PyValueError};
    use pyo3::prelude::*;
    use pyo3::types::PyBytes;
    use zk_autograd_air::{Air, Rule, Variant};
    use zk_autograd_prover::witness::Told;
    use zk_autograd_prover::{Masking, Phases, Progress, ProveError, prove};
    use zk_autograd_verifier::parameters::LOG_ROWS;
    use zk_autograd_verifier::statement::description;
    use zk_autograd_verifier::{Shape, soundness};

    #[pymodule_export]
    use crate::journal::{blake3, pack_integers};
    #[pymodule_export]
    use crate::kernel::{SharedMemory, StepRefused, Stepper, kernel_rules};

    use crate::arguments::{
        Constants, Job as Work, Public, States, buffer, commitment_names as names, invalid, power, preset, secret,
    };

    create_exception!(_native, WitnessError, PyValueError, "A witness that breaks the rule.");
    create_exception!(_native, ProofError, PyValueError, "A proof that is refused.");

    #[pymodule_init]
    fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
        let py = module.py();
        module.add("WitnessError", py.get_type::<WitnessError>())?;
        module.add("ProofError", py.get_type::<ProofError>())
    }

    /// The version of the crates that this module was built from, as in `Cargo.toml`.
    #[pyfunction]
    fn version() -> &'static str {
        env!("CARGO_PKG_VERSION")
    }

    /// The canonical text of a rule's relations in all variants, with the parameters that they are proved with.
    #[pyfunction]
    fn describe(rule: &str, s: u32, preset: &str) -> PyResult<String> {
        let (rule, preset) = (Rule::parse(rule).map_err(invalid)?, crate::arguments::preset(preset)?);
        rule.check_shift(s).map_err(invalid)?;
        let mut text = String::new();
        for (decay, first) in [(false, false), (false, true), (true, false), (true, true)] {
            text += &description(&Air::generic(&Variant { rule, s, decay, weights_in_range: first }), preset);
        }
        Ok(text)
    }

    /// The proven bits of soundness of a segment of `2^log_steps` steps.
    #[pyfunction]
    fn security(rule: &str, s: u32, preset: &str, log_params: usize, log_steps: usize) -> PyResult<f64> {
        let (rule, preset) = (Rule::parse(rule).map_err(invalid)?, crate::arguments::preset(preset)?);
        rule.check_shift(s).map_err(invalid)?;
        // The variant with the most columns and lookups has the fewest bits.
        let shape = Shape::new(
            &Air::generic(&Variant { rule, s, decay: true, weights_in_range: true }),
            preset,
            log_params,
            log_steps,
        )
        .map_err(invalid)?;
        Ok(soundness::proven(&shape, preset).0)
    }

    /// The names of a proof's commitments, in the order in which proofs hold them.
    #[pyfunction]
    fn commitment_names(rule: &str) -> PyResult<Vec<String>> {
        Ok(names(Rule::parse(rule).map_err(invalid)?))
    }

    /// The commitment to a state of `2^log_params` parameters.
    #[pyfunction]
    fn commit<'py>(
        py: Python<'py>,
        values: &Bound<'py, PyAny>,
        log_params: usize,
        salt: &[u8],
    ) -> PyResult<Bound<'py, PyBytes>> {
        let values = buffer(values, power(log_params)?, "the state")?;
        let secret = secret(salt)?;
        let sealed = py.detach(|| zk_autograd_prover::commit(&values, &secret));
        Ok(PyBytes::new(py, &sealed.to_bytes()))
    }

    /// The commitments to several states of `2^log_params` parameters, each with its salt.
    #[pyfunction]
    #[allow(clippy::needless_pass_by_value)]
    fn commit_all<'py>(
        py: Python<'py>,
        states: Vec<Bound<'py, PyAny>>,
        log_params: usize,
        salts: Vec<Vec<u8>>,
    ) -> PyResult<Vec<Bound<'py, PyBytes>>> {
        if states.len() != salts.len() {
            return Err(invalid(format!("{} states have {} salts", states.len(), salts.len())));
        }
        let size = power(log_params)?;
        let values = states.iter().map(|state| buffer(state, size, "the state")).collect::<PyResult<Vec<_>>>()?;
        let secrets = salts.iter().map(|salt| secret(salt)).collect::<PyResult<Vec<_>>>()?;
        let list: Vec<_> = values.iter().map(Vec::as_slice).zip(&secrets).collect();
        let sealed = py.detach(|| zk_autograd_prover::commit_all(&list));
        Ok(sealed.iter().map(|one| PyBytes::new(py, &one.to_bytes())).collect())
    }

    /// The commitment to a shard of `2^log_cells` cells of the data.
    #[pyfunction]
    fn commit_data<'py>(
        py: Python<'py>,
        cells: &Bound<'py, PyAny>,
        log_cells: usize,
        salt: &[u8],
    ) -> PyResult<Bound<'py, PyBytes>> {
        let values = buffer(cells, power(log_cells)?, "the data")?;
        let secret = secret(salt)?;
        let sealed = py.detach(|| zk_autograd_prover::commit_data(&values, &secret));
        Ok(PyBytes::new(py, &sealed.to_bytes()))
    }

    /// The commitment to the gradients of `2^log_steps` steps, each step's `2^log_params` together, as a proof of them has it.
    #[pyfunction]
    fn commit_gradients<'py>(
        py: Python<'py>,
        gradients: &Bound<'py, PyAny>,
        log_params: usize,
        log_steps: usize,
        salt: &[u8],
    ) -> PyResult<Bound<'py, PyBytes>> {
        let params = power(log_params)?;
        if log_steps > *LOG_ROWS.end() || log_params + log_steps > *LOG_ROWS.end() {
            return Err(invalid(format!("a segment has no more than 2^{} rows", LOG_ROWS.end())));
        }
        let gradients = buffer(gradients, params << log_steps, "the gradient")?;
        let secret = secret(salt)?;
        let sealed = py.detach(|| zk_autograd_prover::commit_gradients(&gradients, log_params, &secret));
        let sealed = sealed.ok_or_else(|| invalid("a gradient is outside the range that can be proved"))?;
        Ok(PyBytes::new(py, &sealed.to_bytes()))
    }

    /// A proof in the making.
    #[pyclass(frozen)]
    struct Job {
        work: Arc<Work>,
        progress: Progress,
        phases: OnceLock<Phases>,
    }

    #[pymethods]
    impl Job {
        #[new]
        #[allow(clippy::too_many_arguments, clippy::needless_pass_by_value)]
        fn new(
            rule: &str,
            s: u32,
            preset: &str,
            decay: bool,
            first: bool,
            log_params: usize,
            log_steps: usize,
            constants: Constants,
            context: &[u8],
            start: States<'_>,
            end: States<'_>,
            gradients: &Bound<'_, PyAny>,
            salts: std::collections::HashMap<String, Vec<u8>>,
        ) -> PyResult<Self> {
            let constants = &constants;
            let public = Public { rule, s, preset, decay, first, log_params, log_steps, constants, context };
            let statement = public.statement()?;
            Ok(Self {
                work: Arc::new(Work::new(statement, &start, &end, gradients, &salts)?),
                progress: Progress::default(),
                phases: OnceLock::new(),
            })
        }

        /// Makes the proof: the commitments in the order of `commitment_names`, and the proof's bytes.
        fn run<'py>(&self, py: Python<'py>) -> PyResult<(Vec<Bound<'py, PyBytes>>, Bound<'py, PyBytes>)> {
            let (sender, receiver) = channel();
            let receiver = Mutex::new(receiver);
            let (work, progress) = (Arc::clone(&self.work), self.progress.clone());
            std::thread::spawn(move || {
                let result = catch_unwind(AssertUnwindSafe(|| {
                    prove(&work.statement, &work.witness(), Masking::Full, &progress)
                }));
                // After an interrupt nobody waits for the result, nor for the memory that the proof has kept.
                if progress.is_cancelled() {
                    zk_autograd_prover::memory::release();
                }
                let _ = sender.send(result);
            });
            let result = loop {
                let wait =
                    || receiver.lock().unwrap_or_else(PoisonError::into_inner).recv_timeout(Duration::from_millis(50));
                match py.detach(wait) {
                    Ok(result) => break result,
                    Err(RecvTimeoutError::Timeout) => {
                        if let Err(signal) = py.check_signals() {
                            self.progress.cancel();
                            return Err(signal);
                        }
                        // The prover ends at its next step; Python needn't wait for that.
                        if self.progress.is_cancelled() {
                            return Err(prove_error(ProveError::Cancelled));
                        }
                    }
                    Err(RecvTimeoutError::Disconnected) => {
                        return Err(PyRuntimeError::new_err("internal: the prover's thread ended"));
                    }
                }
            };
            let proof =
                result.map_err(|_| PyRuntimeError::new_err("internal: the prover panicked"))?.map_err(prove_error)?;
            let _ = self.phases.set(proof.phases);
            let list = &proof.commitments;
            let all = list.state_in.iter().chain(&list.state_out).chain([&list.gradient]);
            let all = all.map(|sealed| PyBytes::new(py, &sealed.to_bytes())).collect();
            Ok((all, PyBytes::new(py, &proof.bytes)))
        }

        /// Seconds by phase of the proof that was made, in their order; the first two are the witness's. Empty before it is.
        fn phases(&self) -> Vec<(&'static str, f64)> {
            let made = self.phases.get().map(|phases| &phases.0);
            made.into_iter().flatten().map(|(name, time)| (*name, time.as_secs_f64())).collect()
        }

        /// Ends the proof: `run` raises `RuntimeError`.
        fn cancel(&self) {
            self.progress.cancel();
        }
    }

    /// Makes the memory ready that a proof of this shape takes, by one core, so that the first proof is as fast as the next ones. It
    /// ends early if a proof begins.
    #[pyfunction]
    fn warm(
        py: Python<'_>,
        rule: &str,
        s: u32,
        preset: &str,
        decay: bool,
        log_params: usize,
        log_steps: usize,
    ) -> PyResult<()> {
        let (rule, preset) = (Rule::parse(rule).map_err(invalid)?, crate::arguments::preset(preset)?);
        rule.check_shift(s).map_err(invalid)?;
        let air = Air::generic(&Variant { rule, s, decay, weights_in_range: true });
        let shape = Shape::new(&air, preset, log_params, log_steps).map_err(invalid)?;
        py.detach(|| zk_autograd_prover::memory::warm(&shape));
        Ok(())
    }

    /// Hands the memory that proofs keep for the next one to the system.
    #[pyfunction]
    fn release() {
        zk_autograd_prover::memory::release();
    }

    /// Checks a proof of a statement with these commitments, in the order of `commitment_names`.
    #[pyfunction]
    #[allow(clippy::too_many_arguments, clippy::needless_pass_by_value)]
    fn verify(
        py: Python<'_>,
        rule: &str,
        s: u32,
        preset: &str,
        decay: bool,
        first: bool,
        log_params: usize,
        log_steps: usize,
        constants: Constants,
        context: &[u8],
        commitments: Vec<Vec<u8>>,
        proof: &[u8],
    ) -> PyResult<()> {
        let constants = &constants;
        let public = Public { rule, s, preset, decay, first, log_params, log_steps, constants, context };
        let statement = public.statement()?;
        let commitments = crate::arguments::commitments(&commitments, statement.shape.states).map_err(refused)?;
        py.detach(|| catch_unwind(|| zk_autograd_verifier::verify(&statement, &commitments, proof)))
            .map_err(|_| ProofError::new_err("the proof could not be read"))?
            .map_err(refused)
    }

    /// Where a witness breaks the rule: step, element, relation or quantity, and a sentence. None if it doesn't.
    #[pyfunction]
    #[allow(clippy::too_many_arguments, clippy::needless_pass_by_value)]
    fn explain(
        py: Python<'_>,
        rule: &str,
        s: u32,
        decay: bool,
        log_params: usize,
        log_steps: usize,
        constants: Constants,
        states: States<'_>,
        gradients: &Bound<'_, PyAny>,
    ) -> PyResult<Option<(usize, usize, String, String)>> {
        let (preset, first, constants, context) = (preset("standard")?.name(), true, &constants, &[0; 32][..]);
        let public = Public { rule, s, preset, decay, first, log_params, log_steps, constants, context };
        let statement = public.statement()?;
        let (params, rows) = (power(log_params)?, 1_usize << statement.shape.lengths.log_rows());
        let states = crate::arguments::states(statement.air.rule(), &states, rows + params)?;
        let gradients = buffer(gradients, rows, "the gradient")?;
        let found = py.detach(|| {
            let told = Told { states: states.iter().map(Vec::as_slice).collect(), gradients: &gradients };
            zk_autograd_prover::witness::explain(&statement, &told)
        });
        let error = found.map_err(prove_error)?;
        Ok(error.map(|error| (error.step, error.element, error.what, error.message)))
    }

    #[allow(clippy::needless_pass_by_value)] // for map_err
    fn refused(error: zk_autograd_verifier::Error) -> PyErr {
        ProofError::new_err(error.to_string())
    }

    fn prove_error(error: ProveError) -> PyErr {
        match error {
            ProveError::Witness(error) => WitnessError::new_err((error.step, error.element, error.what, error.message)),
            ProveError::Usage(message) => PyValueError::new_err(message),
            error @ (ProveError::Cancelled | ProveError::Internal(_)) => PyRuntimeError::new_err(error.to_string()),
        }
    }
}
