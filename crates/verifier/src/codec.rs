//! The bytes of a proof: numbers in little-endian order, one after the other, without lengths.

use p3_field::{BasedVectorSpace, PrimeCharacteristicRing, PrimeField64};
use zk_autograd_air::field::ORDER;
use zk_autograd_air::{Ext, Val};

use crate::digest::{DIGEST_BYTES, Digest};
use crate::error::Error;

/// Reads a proof from the front to the end.
#[derive(Clone, Debug)]
pub struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    /// A reader of all of `bytes`.
    #[must_use]
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// The next `length` bytes.
    ///
    /// # Errors
    /// [`Error::Length`] if there are fewer.
    pub fn bytes(&mut self, length: usize) -> Result<&'a [u8], Error> {
        let (taken, rest) = self.rest.split_at_checked(length).ok_or(Error::Length)?;
        self.rest = rest;
        Ok(taken)
    }

    /// The next digest.
    ///
    /// # Errors
    /// [`Error::Length`].
    pub fn digest(&mut self) -> Result<Digest, Error> {
        self.bytes(DIGEST_BYTES)?.try_into().map_err(|_| Error::Length)
    }

    /// The next field element.
    ///
    /// # Errors
    /// [`Error::Length`], [`Error::NotCanonical`].
    pub fn value(&mut self) -> Result<Val, Error> {
        value(self.bytes(8)?)
    }

    /// The next element of the extension.
    ///
    /// # Errors
    /// As [`Reader::value`].
    pub fn element(&mut self) -> Result<Ext, Error> {
        Ok(extension(self.value()?, self.value()?))
    }

    /// The next `count` elements of the extension.
    ///
    /// # Errors
    /// As [`Reader::value`].
    pub fn elements(&mut self, count: usize) -> Result<Vec<Ext>, Error> {
        let mut part = Self::new(self.bytes(count.checked_mul(16).ok_or(Error::Length)?)?);
        (0..count).map(|_| part.element()).collect()
    }

    /// Nothing may be left.
    ///
    /// # Errors
    /// [`Error::Length`] if something is.
    pub const fn end(&self) -> Result<(), Error> {
        if self.rest.is_empty() { Ok(()) } else { Err(Error::Length) }
    }
}

/// The field element of 8 bytes.
///
/// # Errors
/// [`Error::Length`], [`Error::NotCanonical`].
pub fn value(bytes: &[u8]) -> Result<Val, Error> {
    let number = u64::from_le_bytes(bytes.try_into().map_err(|_| Error::Length)?);
    if number < ORDER { Ok(Val::from_u64(number)) } else { Err(Error::NotCanonical) }
}

/// An element of the extension from its two parts.
#[must_use]
pub fn extension(first: Val, second: Val) -> Ext {
    Ext::from_basis_coefficients_fn(|i| if i == 0 { first } else { second })
}

/// Writes a proof.
#[derive(Clone, Debug, Default)]
pub struct Writer {
    bytes: Vec<u8>,
}

impl Writer {
    /// Appends bytes.
    pub fn bytes(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// Appends a field element.
    pub fn value(&mut self, value: Val) {
        self.bytes(&value.as_canonical_u64().to_le_bytes());
    }

    /// Appends an element of the extension.
    pub fn element(&mut self, value: Ext) {
        for part in BasedVectorSpace::<Val>::as_basis_coefficients_slice(&value) {
            self.value(*part);
        }
    }

    /// The bytes so far.
    #[must_use]
    pub fn finish(self) -> Vec<u8> {
        self.bytes
    }
}
