//! What a hostile prover may change. The honest one goes through the same code and changes nothing.

use zk_autograd_air::{Ext, Val};
use zk_autograd_verifier::codec::Writer;
use zk_autograd_verifier::sealed::Sealed;
use zk_autograd_verifier::transcript::Transcript;

use crate::state::States;
use crate::witness::Trace;
use crate::words::{Polynomials, Words};
use crate::work::grind;

/// What a hostile prover may change, in the order in which it is sent. The honest one changes
/// nothing; tests and attacks implement it.
pub trait Tamper: Sync {
    /// Whether the prover checks itself: what it would find wrong goes no further.
    fn checks(&self) -> bool {
        true
    }
    /// The trace before it is committed to.
    fn trace(&self, _trace: &mut Trace) {}
    /// The states to commit to, before and after.
    fn states(&self, _before: &mut [Vec<i64>], _after: &mut [Vec<i64>]) {}
    /// The committed columns of lines, the states before and after: polynomials, words, trees,
    /// seals.
    fn committed(&self, _lines: &mut [States]) {}
    /// The columns of a round after the first, row by row.
    fn columns(&self, _round: usize, _values: &mut [Val]) {}
    /// The polynomials of a round's columns.
    fn polynomials(&self, _round: usize, _polynomials: &mut Polynomials) {}
    /// The commitments that the proof shows, in the order of their trees.
    fn commitments(&self, _sealed: &mut [Sealed]) {}
    /// Whether to do the work before the named challenge.
    fn works(&self, _before: &'static str) -> bool {
        true
    }
    /// The words of the quotient's parts.
    fn quotient(&self, _parts: &mut Words) {}
    /// The values at the out-of-domain point, and that point.
    fn out_of_domain(&self, _values: &mut [Ext], _point: Ext) {}
    /// The word of a layer of the low-degree test, before it is committed to.
    fn layer(&self, _number: usize, _word: &mut [Ext]) {}
    /// The final polynomial.
    fn final_polynomial(&self, _coefficients: &mut [Ext]) {}
}

/// Changes nothing.
pub struct Honest;

impl Tamper for Honest {}

/// A proof of work, or what a hostile prover sends in its place.
pub(crate) fn work(
    transcript: &mut Transcript,
    writer: &mut Writer,
    bits: usize,
    before: &'static str,
    tamper: &impl Tamper,
) {
    if tamper.works(before) {
        writer.value(grind(transcript, bits));
    } else {
        let _ = transcript.work_seed();
        transcript.work(Val::default());
        writer.value(Val::default());
    }
}
