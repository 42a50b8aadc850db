//! The field: Goldilocks, p = 2^64 - 2^32 + 1, and its quadratic extension, from which every challenge is drawn.

use p3_field::extension::BinomialExtensionField;
use p3_goldilocks::Goldilocks;

/// The field of columns.
pub type Val = Goldilocks;

/// The field of challenges: degree 2 over [`Val`], about 2^128 elements.
pub type Ext = BinomialExtensionField<Val, 2>;

/// The field's order.
pub const ORDER: u64 = 0xffff_ffff_0000_0001;

/// An integer as a field element: negative ones count from the order down.
///
/// # Panics
/// Never: every `i64` lies in `-p/2 .. p/2`.
#[must_use]
pub fn from_signed(value: i64) -> Val {
    use p3_field::PrimeCharacteristicRing;
    Val::from_i64(value)
}

/// The field element as the integer of least absolute value that stands for it, in `-(p-1)/2 ..= (p-1)/2`.
#[must_use]
pub fn to_signed(value: Val) -> i64 {
    use p3_field::PrimeField64;
    let canonical = value.as_canonical_u64();
    if canonical > ORDER / 2 {
        -i64::try_from(ORDER - canonical).unwrap_or(i64::MAX)
    } else {
        i64::try_from(canonical).unwrap_or(i64::MAX)
    }
}
