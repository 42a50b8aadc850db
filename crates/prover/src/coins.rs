//! The prover's randomness, derived from secrets: BLAKE3 as a keyed function with unlimited output.
//!
//! A proof that is made again from the same witness, salts and statement is the same proof, so a retry opens nothing new. Coins that
//! mask different values come from different seeds: each seed is derived from the values that it masks, too.

use p3_field::PrimeCharacteristicRing;
use zk_autograd_air::Ext;
use zk_autograd_air::Val;
use zk_autograd_air::field::ORDER;
use zk_autograd_verifier::codec::extension;

/// A secret from which coins come.
#[derive(Clone)]
pub struct Seed([u8; 32]);

impl Seed {
    /// A seed for `purpose` from secrets and the values that it will mask.
    #[must_use]
    pub fn derive(purpose: &'static str, parts: &[&[u8]]) -> Self {
        let mut hasher = blake3::Hasher::new_derive_key(purpose);
        for part in parts {
            hasher.update(&(part.len() as u64).to_le_bytes());
            hasher.update(part);
        }
        Self(hasher.finalize().into())
    }

    /// Another seed from this one.
    #[must_use]
    pub fn child(&self, name: &str) -> Self {
        Self(*blake3::keyed_hash(&self.0, name.as_bytes()).as_bytes())
    }

    /// The stream of that number.
    #[must_use]
    pub fn stream(&self, number: u64) -> Stream {
        let mut hasher = blake3::Hasher::new_keyed(&self.0);
        hasher.update(&number.to_le_bytes());
        Stream { reader: hasher.finalize_xof(), buffer: [0; 1024], used: 1024 }
    }
}

/// An endless stream of coins.
pub struct Stream {
    reader: blake3::OutputReader,
    buffer: [u8; 1024],
    used: usize,
}

impl Stream {
    /// Fills `bytes`. Don't mix with [`Stream::value`] on one stream.
    pub fn fill(&mut self, bytes: &mut [u8]) {
        self.reader.fill(bytes);
    }

    /// A uniform field element.
    pub fn value(&mut self) -> Val {
        loop {
            if self.used == self.buffer.len() {
                self.reader.fill(&mut self.buffer);
                self.used = 0;
            }
            let mut word = [0; 8];
            word.copy_from_slice(&self.buffer[self.used..self.used + 8]);
            self.used += 8;
            let number = u64::from_le_bytes(word);
            if number < ORDER {
                return Val::from_u64(number);
            }
        }
    }

    /// A uniform element of the extension.
    pub fn element(&mut self) -> Ext {
        let first = self.value();
        extension(first, self.value())
    }
}
