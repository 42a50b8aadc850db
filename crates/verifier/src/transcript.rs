//! Fiat-Shamir over BLAKE3: every challenge depends on all that was sent before it.

use p3_blake3::Blake3;
use p3_challenger::{CanObserve, CanSampleBits, FieldChallenger, HashChallenger, SerializingChallenger64};
use p3_field::{BasedVectorSpace, PrimeField64};
use p3_symmetric::Hash;
use zk_autograd_air::{Ext, Val};

use crate::digest::Digest;
use crate::error::Error;

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

    /// What the next proof of work is about: 32 bytes that depend on all that was taken in.
    pub fn work_seed(&mut self) -> [u8; 32] {
        let mut seed = [0; 32];
        for place in seed.chunks_exact_mut(8) {
            let value: Val = self.0.sample_algebra_element();
            place.copy_from_slice(&value.as_canonical_u64().to_le_bytes());
        }
        seed
    }

    /// Takes in a proof of work.
    pub fn work(&mut self, work: Val) {
        self.0.observe(work);
    }

    /// Checks a proof of work and takes it in.
    ///
    /// # Errors
    /// [`Error::ProofOfWork`] with the name of the challenge that it stands before.
    pub fn check_work(&mut self, bits: usize, work: Val, before: &'static str) -> Result<(), Error> {
        let message = work_message(&self.work_seed(), work.as_canonical_u64());
        if !is_work(blake3::hash(&message).as_bytes(), bits) {
            return Err(Error::ProofOfWork(before));
        }
        self.work(work);
        Ok(())
    }
}

/// Bytes of a proof of work's message.
pub const WORK_BYTES: usize = 56;

/// The message whose hash has to begin with zeros: a proof of work is a number below the field's order.
#[must_use]
pub fn work_message(seed: &[u8; 32], number: u64) -> [u8; WORK_BYTES] {
    let mut message = *b"zk-autograd/work                                        ";
    message[16..48].copy_from_slice(seed);
    message[48..].copy_from_slice(&number.to_le_bytes());
    message
}

/// Whether a hash proves `bits` bits of work: its low bits are zero.
#[must_use]
pub fn is_work(digest: &[u8; 32], bits: usize) -> bool {
    let [a, b, c, d, ..] = *digest;
    u32::from_le_bytes([a, b, c, d]) & ((1 << bits) - 1) == 0
}
