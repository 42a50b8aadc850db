//! Several rows at a time: one vector lane a row.

use p3_field::{BasedVectorSpace, ExtensionField, Field, PackedFieldExtension, PackedValue};
use zk_autograd_air::{Ext, Val};

/// A vector of field elements.
pub type Packed = <Val as Field>::Packing;

/// A vector of elements of the extension.
pub type PackedExt = <Ext as ExtensionField<Val>>::ExtensionPacking;

/// Lanes of a vector.
pub const LANES: usize = <Packed as PackedValue>::WIDTH;

/// Column `column` of the rows that begin at the given places of a row-major slice.
#[inline]
#[must_use]
pub fn gather(values: &[Val], places: &[usize; LANES], column: usize) -> Packed {
    Packed::from_fn(|lane| values[places[lane] + column])
}

/// An element of the extension in each lane, from its two parts.
#[inline]
#[must_use]
pub fn packed_extension(first: Packed, second: Packed) -> PackedExt {
    <PackedExt as BasedVectorSpace<Packed>>::from_basis_coefficients_fn(|index| if index == 0 { first } else { second })
}

/// The lanes of a vector.
#[inline]
pub fn lanes(value: PackedExt) -> impl Iterator<Item = Ext> {
    <PackedExt as PackedFieldExtension<Val, Ext>>::to_ext_iter([value])
}

/// The vector of [`LANES`] elements.
#[inline]
#[must_use]
pub fn from_lanes(elements: &[Ext]) -> PackedExt {
    <PackedExt as PackedFieldExtension<Val, Ext>>::from_ext_slice(elements)
}
