//! Merkle trees over BLAKE3 with random bytes in every leaf, and openings of several leaves at once.
//!
//! A leaf is the hash of a row's field elements (8 bytes each, little-endian) and its salt, a node the hash of its two children. The
//! depth is the verifier's, so a node can't pass for a leaf. An opening holds, level by level from the leaves up and from left to
//! right, the digests of those siblings that can't be computed from opened leaves: how many, the indices determine.

use p3_field::PrimeField64;
use zk_autograd_air::Val;

use crate::codec::Reader;
use crate::digest::{DIGEST_BYTES, Digest};
use crate::error::Error;

/// The hash of a node's children.
#[must_use]
pub fn node(left: &Digest, right: &Digest) -> Digest {
    let mut both = [0; 2 * DIGEST_BYTES];
    both[..DIGEST_BYTES].copy_from_slice(left);
    both[DIGEST_BYTES..].copy_from_slice(right);
    blake3::hash(&both).into()
}

/// The hash of a row with its salt.
#[must_use]
pub fn leaf(row: &[Val], salt: &[u8]) -> Digest {
    let mut hasher = blake3::Hasher::new();
    for value in row {
        hasher.update(&value.as_canonical_u64().to_le_bytes());
    }
    hasher.update(salt);
    hasher.finalize().into()
}

/// The levels of an opening: for each level the indices of the siblings that have to be sent, in the order in which they are.
///
/// `indices` are sorted and distinct.
#[must_use]
pub fn missing_siblings(indices: &[usize], depth: usize) -> Vec<Vec<usize>> {
    let mut known = indices.to_vec();
    let mut levels = Vec::with_capacity(depth);
    for _ in 0..depth {
        let mut missing = Vec::new();
        let mut parents = Vec::with_capacity(known.len());
        let mut rest = known.iter().copied().peekable();
        while let Some(index) = rest.next() {
            if index & 1 == 0 && rest.peek() == Some(&(index + 1)) {
                rest.next();
            } else {
                missing.push(index ^ 1);
            }
            parents.push(index >> 1);
        }
        levels.push(missing);
        known = parents;
    }
    levels
}

/// Checks that the leaves at `indices` (sorted, distinct, below `2^depth`) belong to the tree with this root, reading the missing
/// siblings from the proof.
///
/// # Errors
/// [`Error::Length`] if the proof ends, [`Error::Opening`] with `name` if the paths lead elsewhere.
pub fn check_opening(
    reader: &mut Reader<'_>,
    root: &Digest,
    depth: usize,
    indices: &[usize],
    leaves: Vec<Digest>,
    name: &'static str,
) -> Result<(), Error> {
    let mut known: Vec<(usize, Digest)> = indices.iter().copied().zip(leaves).collect();
    for _ in 0..depth {
        let mut parents = Vec::with_capacity(known.len());
        let mut rest = known.iter().peekable();
        while let Some((index, digest)) = rest.next() {
            let parent = if index & 1 == 1 {
                node(&reader.digest()?, digest)
            } else if let Some((_, right)) = rest.next_if(|(other, _)| *other == index + 1) {
                node(digest, right)
            } else {
                node(digest, &reader.digest()?)
            };
            parents.push((index >> 1, parent));
        }
        known = parents;
    }
    if known.iter().all(|(index, digest)| *index == 0 && digest == root) && !known.is_empty() {
        Ok(())
    } else {
        Err(Error::Opening(name))
    }
}
