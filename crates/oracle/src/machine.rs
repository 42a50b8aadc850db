//! What the machine can do, and what the process used of it.

use std::time::Instant;

use p3_blake3::Blake3;
use p3_dft::{Radix2DitParallel, TwoAdicSubgroupDft};
use p3_field::PrimeCharacteristicRing;
use p3_matrix::bitrev::BitReversibleMatrix;
use p3_matrix::dense::RowMajorMatrix;
use p3_maybe_rayon::prelude::*;
use p3_symmetric::CryptographicHasher;
use zk_autograd_air::Val;

/// The largest memory of this process so far, in GiB; 0 where the system doesn't say.
#[must_use]
pub fn peak_gib() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap_or_default();
    line.split_whitespace().next().and_then(|number| number.parse::<f64>().ok()).unwrap_or(0.0) / f64::from(1 << 20)
}

/// Butterflies a second of Plonky3's transform, on all cores: the best of `times` on 8 columns of 2^20.
#[must_use]
#[allow(clippy::cast_precision_loss)]
pub fn butterflies(times: usize) -> f64 {
    const LOG: u32 = 20;
    const WIDTH: usize = 8;
    let dft = Radix2DitParallel::<Val>::default();
    let values: Vec<Val> = (0..WIDTH << LOG).map(Val::from_usize).collect();
    let mut matrix = RowMajorMatrix::new(values, WIDTH);
    // Once for the twiddles.
    matrix = dft.dft_batch(matrix).bit_reverse_rows();
    let count = WIDTH as f64 * f64::from(1_u32 << LOG) / 2.0 * f64::from(LOG);
    let mut best = 0.0_f64;
    for _ in 0..times {
        let start = Instant::now();
        matrix = dft.dft_batch(matrix).bit_reverse_rows();
        best = best.max(count / start.elapsed().as_secs_f64());
    }
    best
}

/// Bytes a second of BLAKE3 over leaves of 192 bytes, on all cores: the best of `times` on 2^18 leaves.
#[must_use]
#[allow(clippy::cast_precision_loss)]
pub fn hash_bytes(times: usize) -> f64 {
    const LEAVES: usize = 1 << 18;
    const LEAF: usize = 192;
    const CHUNK: usize = 512;
    let data = vec![7_u8; LEAVES * LEAF];
    let mut digests = vec![[0_u8; 32]; LEAVES];
    let mut best = 0.0_f64;
    for _ in 0..=times {
        let start = Instant::now();
        digests
            .par_chunks_mut(CHUNK)
            .zip(data.par_chunks(CHUNK * LEAF))
            .for_each(|(digests, leaves)| Blake3.hash_many(leaves, digests));
        best = best.max((LEAVES * LEAF) as f64 / start.elapsed().as_secs_f64());
    }
    best
}
