//! The digests that trees are made of.

/// Bytes of a digest.
pub const DIGEST_BYTES: usize = 32;

/// A node of a tree.
pub type Digest = [u8; DIGEST_BYTES];
