//! Fiat-Shamir over BLAKE3: every challenge depends on all that was sent before it.

use p3_blake3::Blake3;
use p3_challenger::{
    CanObserve, CanSampleBits, FieldChallenger, GrindingChallenger, HashChallenger, SerializingChallenger64,
};
use p3_field::{BasedVectorSpace, PrimeField64};
use p3_symmetric::Hash;
use zk_autograd_air::{Ext, Val};

use crate::error::Error;
use crate::merkle::Digest;

/// The transcript of one proof.
#[derive(Clone)]
pub struct Transcript(SerializingChallenger64<Val, HashChallenger<u8, Blake3, 32>>);

impl Transcript {
    /// A transcript that begins with these bytes.
    #[must_use]
    pub fn new(initial: &[u8]) -> Self {
        // Fixed length: what follows can't be mistaken for a part of the beginning.
        Self(SerializingChallenger64::from_hasher(blake3::hash(initial).as_bytes().to_vec(), Blake3))
    }

    /// Takes in a Merkle root.
    pub fn root(&mut self, root: &Digest) {
        self.0.observe(Hash::<Val, u8, 32>::from(*root));
    }

    /// Takes in elements of the extension.
    pub fn elements(&mut self, values: &[Ext]) {
        for value in values {
            for part in BasedVectorSpace::<Val>::as_basis_coefficients_slice(value) {
                self.0.observe(*part);
            }
        }
    }

    /// A challenge from the extension.
    pub fn challenge(&mut self) -> Ext {
        self.0.sample_algebra_element()
    }

    /// An index below `2^bits`.
    pub fn index(&mut self, bits: usize) -> usize {
        self.0.sample_bits(bits)
    }

    /// Finds a proof of work of `bits` bits and takes it in.
    pub fn grind(&mut self, bits: usize) -> u64 {
        self.0.grind(bits).as_canonical_u64()
    }

    /// Checks a proof of work and takes it in.
    ///
    /// # Errors
    /// [`Error::ProofOfWork`] with the name of the challenge that it stands before.
    pub fn check_work(&mut self, bits: usize, work: Val, before: &'static str) -> Result<(), Error> {
        if self.0.check_witness(bits, work) { Ok(()) } else { Err(Error::ProofOfWork(before)) }
    }
}
