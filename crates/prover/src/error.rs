//! Why there is no proof.

use core::fmt;

/// A place where a witness breaks the rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WitnessError {
    /// The step within the segment, from 0.
    pub step: usize,
    /// The element within the block.
    pub element: usize,
    /// What is wrong there: a quantity, or a relation.
    pub what: String,
    /// A sentence with the values.
    pub message: String,
}

impl fmt::Display for WitnessError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "step {} of the segment, element {} of the block: {}", self.step, self.element, self.message)
    }
}

/// Why there is no proof.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ProveError {
    /// Lengths that don't go with the statement.
    Usage(String),
    /// The witness breaks the rule.
    Witness(WitnessError),
    /// Somebody asked for an end.
    Cancelled,
    /// The prover is wrong, not its caller.
    Internal(String),
}

impl fmt::Display for ProveError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Usage(message) => f.write_str(message),
            Self::Witness(error) => error.fmt(f),
            Self::Cancelled => f.write_str("cancelled"),
            Self::Internal(message) => write!(f, "internal: {message}"),
        }
    }
}

impl core::error::Error for ProveError {}
