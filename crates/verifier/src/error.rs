//! Why a proof is refused.

use core::fmt;

/// What was wrong with a statement or a proof. The verifier returns nothing else, whatever the bytes are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Error {
    /// The statement itself can't be proved: sizes or constants outside their ranges.
    Statement(String),
    /// The proof ends before all that the statement asks for was read, or goes on after it.
    Length,
    /// A number is not the canonical form of a field element.
    NotCanonical,
    /// A commitment's value or proof of work is not the one that its root asks for.
    Commitment(&'static str),
    /// The proof of work before the named challenge is missing.
    ProofOfWork(&'static str),
    /// The out-of-domain point fell into the domain (probability 2^-64 for an honest prover: prove with other coins).
    Point,
    /// The relations don't hold at the out-of-domain point.
    Relations,
    /// A Merkle path of the named tree doesn't lead to its root.
    Opening(&'static str),
    /// The opened values don't continue in the folded word of that layer.
    Fold(usize),
    /// The last folded word is not the final polynomial.
    FinalPolynomial,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Statement(message) => write!(f, "the statement can't be proved: {message}"),
            Self::Length => f.write_str("the proof has the wrong length"),
            Self::NotCanonical => f.write_str("a number in the proof is not below the field's order"),
            Self::Commitment(name) => write!(f, "the commitment {name} is malformed"),
            Self::ProofOfWork(name) => write!(f, "the proof of work before the challenge {name} is missing"),
            Self::Point => f.write_str("the out-of-domain point lies in the domain"),
            Self::Relations => f.write_str("the relations don't hold at the out-of-domain point"),
            Self::Opening(name) => write!(f, "an opening of the tree {name} doesn't lead to its root"),
            Self::Fold(layer) => write!(f, "the opened values don't agree with layer {layer} of the low-degree test"),
            Self::FinalPolynomial => f.write_str("the last folded word is not the final polynomial"),
        }
    }
}

impl core::error::Error for Error {}
