//! Where a state's integers lie: as narrow as their ranges allow, in planes of whole machine words.

use std::collections::TryReserveError;

use crate::block::BLOCK;
use crate::stream::{self, Word};
use pulp::Simd;

/// How many bits an integer of a state takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Width {
    /// 32: one plane of them.
    Narrow,
    /// 48: a plane of the upper 32, and one of the lower 16.
    Middle,
    /// 64: one plane of them.
    Wide,
}

/// One integer of every element.
pub struct Plane {
    high: Aligned<i32>,
    low: Aligned<u16>,
    wide: Aligned<i64>,
}

/// Words that begin at a cache line, so that no vector of them lies in two.
struct Aligned<T> {
    all: Vec<T>,
    first: usize,
}

const LINE: usize = 64;

impl<T: Copy + Default> Aligned<T> {
    fn zeros(size: usize) -> Result<Self, TryReserveError> {
        let mut all = Vec::<T>::new();
        if size > 0 {
            let spare = LINE / size_of::<T>();
            all.try_reserve_exact(size + spare)?;
            let first = all.as_ptr().align_offset(LINE).min(spare);
            all.resize(first + size, T::default()); // within what was reserved: it stays where it is
            return Ok(Self { all, first });
        }
        Ok(Self { all, first: 0 })
    }

    fn words(&self) -> &[T] {
        &self.all[self.first..]
    }

    fn words_mut(&mut self) -> &mut [T] {
        &mut self.all[self.first..]
    }
}

/// A part of a plane: those of its three vectors that its width doesn't use are empty.
#[derive(Clone, Copy, Default)]
pub struct View<'a> {
    pub high: &'a [i32],
    pub low: &'a [u16],
    pub wide: &'a [i64],
}

/// A part of a plane, to be written.
#[derive(Default)]
pub struct ViewMut<'a> {
    pub high: &'a mut [i32],
    pub low: &'a mut [u16],
    pub wide: &'a mut [i64],
}

/// A block's integers on their own.
#[repr(align(64))]
pub struct Packed {
    pub high: [i32; BLOCK],
    pub low: [u16; BLOCK],
    pub wide: [i64; BLOCK],
}

/// A block's integers, where they lie.
#[derive(Clone, Copy)]
pub struct PackedRef<'a> {
    pub high: &'a [i32; BLOCK],
    pub low: &'a [u16; BLOCK],
    pub wide: &'a [i64; BLOCK],
}

static NONE: Packed = Packed::ZERO;

impl Width {
    /// How many bytes an integer takes.
    pub const fn bytes(self) -> usize {
        match self {
            Self::Narrow => 4,
            Self::Middle => 6,
            Self::Wide => 8,
        }
    }
}

impl Plane {
    /// A plane of `size` zeros.
    pub fn zeros(width: Width, size: usize) -> Result<Self, TryReserveError> {
        let (high, low, wide) = match width {
            Width::Narrow => (size, 0, 0),
            Width::Middle => (size, size, 0),
            Width::Wide => (0, 0, size),
        };
        Ok(Self { high: Aligned::zeros(high)?, low: Aligned::zeros(low)?, wide: Aligned::zeros(wide)? })
    }

    /// Writes `values`, which fit.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    pub fn pack(&mut self, width: Width, values: &[i64]) {
        match width {
            Width::Narrow => self.high.words_mut().iter_mut().zip(values).for_each(|(to, &x)| *to = x as i32),
            Width::Middle => {
                self.high.words_mut().iter_mut().zip(values).for_each(|(to, &x)| *to = (x >> 16) as i32);
                self.low.words_mut().iter_mut().zip(values).for_each(|(to, &x)| *to = x as u16);
            }
            Width::Wide => self.wide.words_mut().copy_from_slice(values),
        }
    }

    /// All of it.
    pub fn view(&self) -> View<'_> {
        View { high: self.high.words(), low: self.low.words(), wide: self.wide.words() }
    }

    /// All of it.
    pub fn view_mut(&mut self) -> ViewMut<'_> {
        ViewMut { high: self.high.words_mut(), low: self.low.words_mut(), wide: self.wide.words_mut() }
    }
}

fn block<'a, T>(part: &'a [T], number: usize, none: &'a [T; BLOCK]) -> &'a [T; BLOCK] {
    part.get(number * BLOCK..).and_then(<[T]>::first_chunk).unwrap_or(none)
}

fn fill<T: Copy>(to: &mut [T; BLOCK], part: &[T], from: usize) {
    if let Some(rest) = part.get(from..) {
        to[..rest.len()].copy_from_slice(rest);
    }
}

#[inline(always)]
fn put<S: Simd, T: Word>(part: &mut [T], from: usize, count: usize, values: &[T; BLOCK], bypass: bool) {
    if part.is_empty() {
        return;
    }
    let (to, values) = (&mut part[from..from + count], &values[..count]);
    if bypass { stream::copy::<S, T>(to, values) } else { to.copy_from_slice(values) }
}

impl<'a> View<'a> {
    /// The first `count` elements, which are taken away. A vector that the width doesn't use has none.
    pub fn take(&mut self, count: usize) -> Self {
        let Self { high, low, wide } = self;
        Self {
            high: high.split_off(..count).unwrap_or_default(),
            low: low.split_off(..count).unwrap_or_default(),
            wide: wide.split_off(..count).unwrap_or_default(),
        }
    }

    /// The whole block of this number.
    #[inline(always)]
    pub fn block(&self, number: usize) -> PackedRef<'a> {
        PackedRef {
            high: block(self.high, number, &NONE.high),
            low: block(self.low, number, &NONE.low),
            wide: block(self.wide, number, &NONE.wide),
        }
    }

    /// What is left from element `from` on, less than a block, and zeros behind it.
    pub fn tail(&self, from: usize) -> Packed {
        let mut result = Packed::ZERO;
        fill(&mut result.high, self.high, from);
        fill(&mut result.low, self.low, from);
        fill(&mut result.wide, self.wide, from);
        result
    }

    /// The integer of element i.
    #[inline(always)]
    pub fn get(&self, width: Width, i: usize) -> i64 {
        match width {
            Width::Narrow => i64::from(self.high[i]),
            Width::Middle => i64::from(self.high[i]) << 16 | i64::from(self.low[i]),
            Width::Wide => self.wide[i],
        }
    }
}

impl ViewMut<'_> {
    /// The first `count` elements, which are taken away. A vector that the width doesn't use has none.
    pub fn take(&mut self, count: usize) -> Self {
        let Self { high, low, wide } = self;
        Self {
            high: high.split_off_mut(..count).unwrap_or_default(),
            low: low.split_off_mut(..count).unwrap_or_default(),
            wide: wide.split_off_mut(..count).unwrap_or_default(),
        }
    }

    /// Writes the first `count` integers of a block from element `from` on, past the caches or not.
    #[inline(always)]
    pub fn put<S: Simd>(&mut self, from: usize, count: usize, values: &Packed, bypass: bool) {
        put::<S, _>(self.high, from, count, &values.high, bypass);
        put::<S, _>(self.low, from, count, &values.low, bypass);
        put::<S, _>(self.wide, from, count, &values.wide, bypass);
    }
}

impl Packed {
    /// A block of zeros.
    pub const ZERO: Self = Self { high: [0; BLOCK], low: [0; BLOCK], wide: [0; BLOCK] };

    /// The integers where they lie.
    #[inline(always)]
    pub fn view(&self) -> PackedRef<'_> {
        PackedRef { high: &self.high, low: &self.low, wide: &self.wide }
    }

    /// Writes the integer of element i.
    #[inline(always)]
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    pub fn set(&mut self, width: Width, i: usize, x: i64) {
        match width {
            Width::Narrow => self.high[i] = x as i32,
            Width::Middle => {
                self.high[i] = (x >> 16) as i32;
                self.low[i] = x as u16;
            }
            Width::Wide => self.wide[i] = x,
        }
    }
}

impl PackedRef<'_> {
    /// The integer of element i.
    #[inline(always)]
    pub fn get(&self, width: Width, i: usize) -> i64 {
        match width {
            Width::Narrow => i64::from(self.high[i]),
            Width::Middle => i64::from(self.high[i]) << 16 | i64::from(self.low[i]),
            Width::Wide => self.wide[i],
        }
    }
}
