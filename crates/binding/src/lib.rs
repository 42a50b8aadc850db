//! The Python module `zk_autograd._native`: it translates between Python's types and those of the crates beside it,
//! and holds no logic of its own. Its signatures for type checkers stand in `src/zk_autograd/_native.pyi`.

use pyo3::pymodule;

/// The compiled part of `zk_autograd`.
#[pymodule]
mod _native {
    use pyo3::prelude::*;

    /// The version of the crates that this module was built from, as in `Cargo.toml`.
    #[pyfunction]
    fn version() -> &'static str {
        env!("CARGO_PKG_VERSION")
    }
}
