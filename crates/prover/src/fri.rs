//! The low-degree test's prover: folds, their trees, and the final polynomial.

use p3_field::{Field, PrimeCharacteristicRing, TwoAdicField};
use p3_maybe_rayon::prelude::*;
use p3_util::reverse_bits_len;
use zk_autograd_air::{Ext, Val};
use zk_autograd_verifier::Lengths;
use zk_autograd_verifier::codec::Writer;
use zk_autograd_verifier::fri::fold_pair;
use zk_autograd_verifier::parameters::{FOLD_BITS, LOG_FINAL_DOMAIN};
use zk_autograd_verifier::transcript::Transcript;

use crate::error::ProveError;
use crate::memory;
use crate::progress::Progress;
use crate::state::parts;
use crate::tamper::{Tamper, work};
use crate::tree::Tree;

/// A committed word and its tree, whose leaves are the groups that fold into one value.
pub struct Layer {
    /// The word.
    pub word: Vec<Ext>,
    /// Its tree.
    pub tree: Tree,
    /// log2 of a group's values.
    pub log_arity: usize,
}

impl Drop for Layer {
    fn drop(&mut self) {
        memory::give(core::mem::take(&mut self.word));
    }
}

impl Layer {
    /// Writes the group of that number as base elements.
    pub fn group(&self, group: usize, out: &mut [Val]) {
        let values = &self.word[group << self.log_arity..(group + 1) << self.log_arity];
        for (value, place) in values.iter().zip(out.chunks_exact_mut(2)) {
            place.copy_from_slice(&parts(*value));
        }
    }
}

/// Runs the folding phase: every layer's root and proof of work go to the writer, then the final polynomial.
///
/// # Errors
/// [`ProveError::Cancelled`]; [`ProveError::Internal`] if the last word has too high a degree.
pub fn commit(
    lengths: &Lengths,
    rows: Vec<Ext>,
    lines: &[Ext],
    transcript: &mut Transcript,
    writer: &mut Writer,
    progress: &Progress,
    tamper: &impl Tamper,
) -> Result<Vec<Layer>, ProveError> {
    let mut word = rows;
    if lengths.folds_to_states == 0 {
        for (value, state) in word.iter_mut().zip(lines) {
            *value += *state;
        }
    }
    let mut layers = Vec::with_capacity(lengths.folds.len());
    for (number, log_arity) in lengths.folds.iter().copied().enumerate() {
        progress.check()?;
        tamper.layer(number, &mut word);
        let groups = word.len() >> log_arity;
        let tree = Tree::new(groups, 2 << log_arity, None, |group, out| {
            let values = &word[group << log_arity..(group + 1) << log_arity];
            for (value, place) in values.iter().zip(out.chunks_exact_mut(2)) {
                place.copy_from_slice(&parts(*value));
            }
        });
        let root = tree.root();
        transcript.root(&root);
        writer.bytes(&root);
        work(transcript, writer, FOLD_BITS, "of a fold", tamper);
        let challenge = transcript.challenge();
        let mut folded = fold(&word, challenge);
        let mut power = challenge.square();
        for _ in 1..log_arity {
            let next = fold(&folded, power);
            memory::give(core::mem::replace(&mut folded, next));
            power = power.square();
        }
        if number + 1 == lengths.folds_to_states {
            for (value, state) in folded.iter_mut().zip(lines) {
                *value += power * *state;
            }
        }
        layers.push(Layer { word: core::mem::replace(&mut word, folded), tree, log_arity });
    }
    let mut polynomial = interpolate(&word);
    if tamper.checks() && polynomial[lengths.final_length..].iter().any(|coefficient| *coefficient != Ext::ZERO) {
        return Err(ProveError::Internal("the final polynomial has too many coefficients".into()));
    }
    polynomial.truncate(lengths.final_length);
    tamper.final_polynomial(&mut polynomial);
    transcript.elements(&polynomial);
    for coefficient in &polynomial {
        writer.element(*coefficient);
    }
    Ok(layers)
}

/// One fold of two. `challenge^2^a` is what joins the next word.
fn fold(word: &[Ext], challenge: Ext) -> Vec<Ext> {
    const CHUNK: usize = 4096;
    let log_size = word.len().trailing_zeros() as usize;
    let generator = Val::two_adic_generator(log_size).inverse();
    let mut out = memory::take(word.len() / 2);
    out.par_chunks_mut(CHUNK).zip(word.par_chunks(2 * CHUNK)).enumerate().for_each(|(chunk, (out, pairs))| {
        let log_chunk = out.len().trailing_zeros() as usize;
        let first = generator.exp_u64(reverse_bits_len(chunk * CHUNK, log_size - 1) as u64);
        // One point of each pair: half of the domain.
        let step = Val::two_adic_generator(log_chunk + 1).inverse();
        let mut inverses = vec![Val::ZERO; out.len()];
        let mut power = first;
        for index in 0..out.len() {
            inverses[reverse_bits_len(index, log_chunk)] = power;
            power *= step;
        }
        for ((out, pair), inverse) in out.iter_mut().zip(pairs.chunks_exact(2)).zip(inverses) {
            *out = fold_pair(pair[0], pair[1], inverse, challenge);
        }
    });
    out
}

/// The coefficients of the polynomial through the last word.
fn interpolate(word: &[Ext]) -> Vec<Ext> {
    debug_assert_eq!(word.len(), 1 << LOG_FINAL_DOMAIN);
    let size = word.len();
    let inverse = Val::two_adic_generator(LOG_FINAL_DOMAIN).inverse();
    let powers: Vec<Val> = inverse.powers().take(size).collect();
    let scale = Val::ONE.div_2exp_u64(LOG_FINAL_DOMAIN as u64);
    (0..size)
        .map(|degree| {
            let sum: Ext = word
                .iter()
                .enumerate()
                .map(|(index, value)| *value * powers[reverse_bits_len(index, LOG_FINAL_DOMAIN) * degree % size])
                .sum();
            sum * scale
        })
        .collect()
}
