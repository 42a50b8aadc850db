//! The commitment to a segment's gradients, without a proof: whoever has a proof made elsewhere compares it with the one in there.

use p3_field::PrimeCharacteristicRing;
use p3_matrix::dense::RowMajorMatrix;
use p3_maybe_rayon::prelude::*;
use zk_autograd_air::{Ext, Val};
use zk_autograd_verifier::parameters::MASK;
use zk_autograd_verifier::sealed::{Sealed, Sort};

use crate::coins::{Seed, Stream};
use crate::matrix::committed;
use crate::opening::{evaluate, inverse_differences};
use crate::state::{StateSecret, seal};
use crate::words::{Dft, masked, padded, words};

/// The gradient's columns: G + 2^30 = g0 + 2^15 g1.
const COLUMNS: usize = 2;
const LOG_BASE: usize = 15;
const OFFSET: i32 = 1 << 30;

/// The seed of a gradient's coins, from its secret and its values alone: its commitment is its own, whatever proof it is in.
#[must_use]
pub(crate) fn seed(gradients: &[i32], secret: &StateSecret) -> Seed {
    let mut hasher = blake3::Hasher::new();
    for chunk in gradients.chunks(4096) {
        let bytes: Vec<u8> = chunk.iter().flat_map(|value| i64::from(*value).to_le_bytes()).collect();
        hasher.update(&bytes);
    }
    Seed::derive("zk-autograd native gradient v1", &[secret, hasher.finalize().as_bytes()])
}

/// The masks of the gradient's columns.
fn streams(seed: &Seed) -> impl Iterator<Item = (usize, Stream)> {
    let masks = seed.child("mask");
    (0..COLUMNS).map(move |column| (column, masks.stream(column as u64)))
}

/// The commitment to the gradients of a segment, T N values, each step's N parameters together, as a proof of them has it; None for
/// values or a length that no proof can have.
#[must_use]
pub fn commit_gradients(gradients: &[i32], log_params: usize, secret: &StateSecret) -> Option<Sealed> {
    let (params, rows, width) = (1_usize << log_params, gradients.len(), padded(COLUMNS));
    if !rows.is_power_of_two() || rows < params || gradients.iter().any(|value| value.unsigned_abs() >= OFFSET as u32) {
        return None;
    }
    let steps = rows / params;
    let mut columns = Val::zero_vec(width * rows);
    columns.par_chunks_exact_mut(width).enumerate().for_each(|(row, out)| {
        let (element, step) = (row / steps, row % steps);
        let value = (gradients[step * params + element] + OFFSET).cast_unsigned();
        out[0] = Val::from_u32(value & ((1 << LOG_BASE) - 1));
        out[1] = Val::from_u32(value >> LOG_BASE);
    });
    let (dft, seed) = (Dft::default(), seed(gradients, secret));
    let words = words(&dft, masked(&dft, RowMajorMatrix::new(columns, width), MASK, streams(&seed)));
    let tree = committed(&words, 0, COLUMNS, seed.child("salts"));
    let log_size = words.log_half + 1;
    Some(seal(Sort::Table, tree.root(), log_size, |point| {
        let parts = evaluate(&words, point, &inverse_differences(log_size, point), 0..COLUMNS);
        parts[0] + parts[1] * Ext::from_u64(1 << LOG_BASE)
    }))
}
