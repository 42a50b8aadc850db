//! Commitments that chain: a Merkle root, and the value of the committed polynomial at a point that the root determines.
//!
//! In the list-decoding regime a root alone doesn't bind one polynomial: near one word there may be several codewords, and two proofs
//! could mean different ones. The point is drawn from the extension after the root, with proof of work; to find
//! a root at whose point two polynomials of one list agree takes more than 2^100 hashes (docs/soundness.md), so that two proofs which
//! show the same value mean the same one.

use p3_field::{BasedVectorSpace, PrimeField64};
use zk_autograd_air::{Ext, Val};

use crate::codec::Reader;
use crate::digest::{DIGEST_BYTES, Digest};
use crate::error::Error;
use crate::parameters::SEAL_BITS;
use crate::transcript::Transcript;

/// Bytes of a commitment: root, proof of work, value.
pub const SEALED_BYTES: usize = DIGEST_BYTES + 8 + 16;

/// What a root commits to: the points of each sort are drawn under a label of its own, so that a commitment to one is none to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sort {
    /// A state of a block, or a segment's gradients.
    Table,
    /// A shard of the data.
    Data,
}

impl Sort {
    const fn label(self) -> &'static [u8] {
        match self {
            Self::Table => b"zk-autograd/native/seal/v1",
            Self::Data => b"zk-autograd/native/data-seal/v1",
        }
    }
}

/// A root with the value of its polynomial at the root's own point.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sealed {
    /// The tree's root.
    pub root: Digest,
    /// The proof of work before the point.
    pub work: Val,
    /// The polynomial's value there.
    pub value: Ext,
}

impl Sealed {
    /// The transcript from which a root's point is drawn. `log_size` is log2 of the length of the word under the root.
    #[must_use]
    pub fn transcript(sort: Sort, root: &Digest, log_size: usize) -> Transcript {
        let mut bytes = sort.label().to_vec();
        bytes.extend_from_slice(&(log_size as u64).to_le_bytes());
        bytes.extend_from_slice(root);
        Transcript::new(&bytes)
    }

    /// The point of a root. `log_size` is log2 of the length of its word.
    ///
    /// # Errors
    /// [`Error::Commitment`] with `name` if the proof of work is missing or the point lies in the base field.
    pub fn point(&self, sort: Sort, log_size: usize, name: &'static str) -> Result<Ext, Error> {
        let mut transcript = Self::transcript(sort, &self.root, log_size);
        transcript.check_work(SEAL_BITS, self.work, name).map_err(|_| Error::Commitment(name))?;
        let point = transcript.challenge();
        if is_base(&point) { Err(Error::Commitment(name)) } else { Ok(point) }
    }

    /// The bytes that records hold.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; SEALED_BYTES] {
        let mut bytes = [0; SEALED_BYTES];
        bytes[..DIGEST_BYTES].copy_from_slice(&self.root);
        bytes[DIGEST_BYTES..DIGEST_BYTES + 8].copy_from_slice(&self.work.as_canonical_u64().to_le_bytes());
        for (part, place) in BasedVectorSpace::<Val>::as_basis_coefficients_slice(&self.value)
            .iter()
            .zip(bytes[DIGEST_BYTES + 8..].chunks_exact_mut(8))
        {
            place.copy_from_slice(&part.as_canonical_u64().to_le_bytes());
        }
        bytes
    }

    /// The commitment of these bytes.
    ///
    /// # Errors
    /// [`Error::Length`], [`Error::NotCanonical`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Error> {
        let mut reader = Reader::new(bytes);
        let sealed = Self { root: reader.digest()?, work: reader.value()?, value: reader.element()? };
        reader.end()?;
        Ok(sealed)
    }
}

/// Whether an element of the extension lies in the base field, where domains are.
#[must_use]
pub fn is_base(point: &Ext) -> bool {
    BasedVectorSpace::<Val>::as_basis_coefficients_slice(point).iter().skip(1).all(|part| *part == Val::default())
}
