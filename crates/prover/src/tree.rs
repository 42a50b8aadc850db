//! Merkle trees of words, leaves hashed many at a time.

use p3_blake3::Blake3;
use p3_field::PrimeField64;
use p3_maybe_rayon::prelude::*;
use p3_symmetric::CryptographicHasher;
use zk_autograd_air::Val;
use zk_autograd_verifier::codec::Writer;
use zk_autograd_verifier::digest::Digest;
use zk_autograd_verifier::merkle::missing_siblings;
use zk_autograd_verifier::parameters::SALT_BYTES;

use crate::coins::Seed;
use crate::memory;

const CHUNK: usize = 512;

/// A tree's nodes, and the seed of its leaves' salts (none for words that are random themselves).
pub struct Tree {
    levels: Vec<Vec<Digest>>,
    salts: Option<Seed>,
}

impl Drop for Tree {
    fn drop(&mut self) {
        for level in self.levels.drain(..) {
            memory::give(level);
        }
    }
}

impl Tree {
    /// The tree over `count` rows (a power of two) of `width` values; `row(i, out)` writes row i.
    pub fn new(count: usize, width: usize, salts: Option<Seed>, row: impl Fn(usize, &mut [Val]) + Sync) -> Self {
        let salt = if salts.is_some() { SALT_BYTES } else { 0 };
        let length = width * 8 + salt;
        let mut leaves: Vec<Digest> = memory::take(count);
        leaves.par_chunks_mut(CHUNK).enumerate().for_each(|(chunk, out)| {
            let mut bytes = vec![0; out.len() * length];
            let mut values = vec![Val::default(); width];
            let salted = salts.as_ref().map(|seed| chunk_salts(seed, chunk, out.len()));
            for (i, message) in bytes.chunks_exact_mut(length).enumerate() {
                row(chunk * CHUNK + i, &mut values);
                let (numbers, rest) = message.split_at_mut(width * 8);
                for (value, place) in values.iter().zip(numbers.chunks_exact_mut(8)) {
                    place.copy_from_slice(&value.as_canonical_u64().to_le_bytes());
                }
                if let Some(salted) = &salted {
                    rest.copy_from_slice(&salted[i * SALT_BYTES..(i + 1) * SALT_BYTES]);
                }
            }
            Blake3.hash_many(&bytes, out);
        });
        let mut levels = vec![leaves];
        while let Some(below) = levels.last().filter(|level| level.len() > 1) {
            let mut level: Vec<Digest> = memory::take(below.len() / 2);
            level.par_chunks_mut(CHUNK).zip(below.par_chunks(2 * CHUNK)).for_each(|(out, pairs)| {
                Blake3.hash_many(pairs.as_flattened(), out);
            });
            levels.push(level);
        }
        Self { levels, salts }
    }

    /// The root.
    #[must_use]
    pub fn root(&self) -> Digest {
        self.levels[self.levels.len() - 1][0]
    }

    /// Writes the rows at `indices` (sorted, distinct) with their salts, then the siblings that their paths need.
    pub fn open(&self, indices: &[usize], width: usize, row: impl Fn(usize, &mut [Val]), writer: &mut Writer) {
        let mut values = vec![Val::default(); width];
        for index in indices {
            row(*index, &mut values);
            for value in &values {
                writer.value(*value);
            }
            if let Some(seed) = &self.salts {
                let salts = chunk_salts(seed, index / CHUNK, index % CHUNK + 1);
                writer.bytes(&salts[index % CHUNK * SALT_BYTES..]);
            }
        }
        for (level, missing) in missing_siblings(indices, self.levels.len() - 1).iter().enumerate() {
            for index in missing {
                writer.bytes(&self.levels[level][*index]);
            }
        }
    }
}

fn chunk_salts(seed: &Seed, chunk: usize, count: usize) -> Vec<u8> {
    let mut salts = vec![0; count * SALT_BYTES];
    seed.stream(chunk as u64).fill(&mut salts);
    salts
}
