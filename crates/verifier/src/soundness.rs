//! How many bits of soundness a shape has, round by round (docs/soundness.md). Nothing that is accepted or refused depends on it.
//!
//! Every term is the work, as a power of two, that a prover needs on average to get past one round: the round's error with the
//! proof of work before it. The bits of the whole are those of the weakest round (Block, Garreta, Tiwari, Zajac, "On soundness
//! notions for interactive oracle proofs", and 2024/1553, section 2). The rate is the enforced one.
//!
//! Proximity: Dao, Kominers, Thaler, "Reed-Solomon codes beyond Johnson", theorem 5.12 (list decoding); Ben-Sasson, Carmon, Ishai,
//! Kopparty, Saraf, "Proximity gaps for Reed-Solomon codes" (unique decoding). No bits are given beyond the Johnson bound: what used to
//! be conjectured there fails near capacity over multiplicative subgroups of prime fields, the domain here (2025/2046; arXiv 2604.09724).

use crate::parameters::{
    BATCH_BITS, FOLD_BITS, LOG_FINAL_DOMAIN, LOOKUP_BITS, MASK, POINT_BITS, Preset, QUERY_BITS, SEAL_BITS,
};
use crate::shape::Shape;

/// log2 of the challenge field's order, rounded down in its 8th digit.
pub const FIELD_BITS: f64 = 127.999_999;

/// Bits that a collision of BLAKE3 costs.
pub const COLLISION_BITS: f64 = 128.0;

/// The largest multiplicity that is tried in the list-decoding regime.
const MAX_MULTIPLICITY: u32 = 1000;

/// One round's bits.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Term {
    /// The round.
    pub name: &'static str,
    /// Its bits.
    pub bits: f64,
}

/// Which words count as close to the code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Regime {
    /// Up to half the distance: one codeword.
    Unique,
    /// Up to the Johnson bound, with that multiplicity: a list.
    Johnson(u32),
}

/// The sizes that the terms depend on.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sizes {
    /// The enforced rate.
    pub rate: f64,
    /// Length of the longest words.
    pub domain: f64,
    /// Coefficients that a column may have.
    pub length: f64,
    /// Denominators of the lookups in all rows.
    pub denominators: f64,
    /// Relations in the composition.
    pub relations: f64,
    /// Words in the batch.
    pub batched: f64,
    /// Values that fold into one, at most, and one more where the states join.
    pub folded: f64,
    /// Queries.
    pub queries: f64,
}

#[allow(clippy::cast_precision_loss)]
impl Sizes {
    /// The sizes of a shape.
    #[must_use]
    pub fn new(shape: &Shape) -> Self {
        let domain = (1_u64 << shape.lengths.log_row_words()) as f64;
        let arity = shape.lengths.folds.iter().max().map_or(1, |log_arity| 1 << log_arity);
        Self {
            rate: shape.lengths.final_length as f64 / (1_u64 << LOG_FINAL_DOMAIN) as f64,
            domain,
            length: shape.lengths.enforced_length() as f64 + 1.0,
            denominators: ((shape.ranges + 1) << shape.lengths.log_rows()) as f64,
            relations: shape.relations() as f64,
            batched: shape.batched() as f64,
            folded: f64::from(arity + 1),
            queries: shape.lengths.queries as f64,
        }
    }
}

/// The terms in a regime.
#[must_use]
pub fn terms(sizes: &Sizes, regime: Regime) -> Vec<Term> {
    let root = sizes.rate.sqrt();
    let (agreement, list, line) = match regime {
        Regime::Unique => (f64::midpoint(1.0, sizes.rate), 1.0, sizes.domain + 1.0),
        Regime::Johnson(multiplicity) => {
            let m = f64::from(multiplicity);
            let least = sizes.rate - 1.0 / sizes.domain;
            let line = 8.0 * sizes.domain * (m + 0.5).powi(3) / (3.0 * least);
            ((1.0 + 0.5 / m) * root, (m + 0.5) / root, line)
        }
    };
    let bits = |error: f64, work: usize| FIELD_BITS - error.log2() + work_bits(work);
    vec![
        // A root of the sum's numerator, or a denominator that vanishes: 3 a denominator; for every list of columns.
        Term { name: "lookups", bits: bits(list * 3.0 * sizes.denominators, LOOKUP_BITS) },
        Term { name: "composition", bits: bits(list * sizes.relations, 0) },
        // Two polynomials of degree below 3 D differ; for every pair of lists.
        Term { name: "out-of-domain point", bits: bits(list * list * 3.0 * sizes.length, POINT_BITS) },
        Term { name: "batch", bits: bits(line * (sizes.batched - 1.0), BATCH_BITS) },
        Term { name: "folds", bits: bits(line * (sizes.folded - 1.0), FOLD_BITS) },
        Term { name: "queries", bits: work_bits(QUERY_BITS) - sizes.queries * agreement.log2() },
        // Two polynomials of one list agree where a commitment is sealed.
        Term { name: "sealed commitments", bits: bits((list * list / 2.0).max(1.0) * sizes.length, SEAL_BITS) },
        Term { name: "collision of BLAKE3", bits: COLLISION_BITS },
    ]
}

#[allow(clippy::cast_precision_loss)]
fn work_bits(work: usize) -> f64 {
    work as f64
}

/// The bits of the weakest round.
#[must_use]
pub fn bits(terms: &[Term]) -> f64 {
    terms.iter().map(|term| term.bits).fold(f64::INFINITY, f64::min)
}

/// The proven bits of a shape, and the regime in which they are.
#[must_use]
pub fn proven(shape: &Shape, preset: Preset) -> (f64, Regime) {
    let sizes = Sizes::new(shape);
    let regimes: Vec<Regime> = match preset {
        Preset::Strict => vec![Regime::Unique],
        Preset::Standard => (3..=MAX_MULTIPLICITY).map(Regime::Johnson).collect(),
    };
    regimes
        .into_iter()
        .map(|regime| (bits(&terms(&sizes, regime)), regime))
        .fold((0.0, Regime::Unique), |best, next| if next.0 > best.0 { next } else { best })
}

/// How often a state's polynomial is opened at most: at each query and one point of the extension in two proofs, and at its seal.
#[must_use]
pub const fn openings(shape: &Shape) -> usize {
    2 * (shape.lengths.queries + 2) + 2
}

const _: () = assert!(MASK.is_power_of_two());
