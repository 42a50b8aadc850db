//! Where a state's integers lie: as narrow as their ranges allow, in planes of whole machine words.

use crate::block::BLOCK;

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
#[derive(Clone, Debug, Default)]
pub struct Plane {
    high: Vec<i32>,
    low: Vec<u16>,
    wide: Vec<i64>,
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
    /// The bound on the size of what it holds.
    const fn bits(self) -> u32 {
        match self {
            Self::Narrow => 32,
            Self::Middle => 48,
            Self::Wide => 64,
        }
    }
}

impl Plane {
    /// A plane of `size` zeros.
    pub fn zeros(width: Width, size: usize) -> Self {
        let (high, low, wide) = match width {
            Width::Narrow => (size, 0, 0),
            Width::Middle => (size, size, 0),
            Width::Wide => (0, 0, size),
        };
        Self { high: vec![0; high], low: vec![0; low], wide: vec![0; wide] }
    }

    /// Writes `values`. False if one doesn't fit.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    pub fn pack(&mut self, width: Width, values: &[i64]) -> bool {
        let spare = 64 - width.bits();
        let fits = values.iter().all(|&x| x << spare >> spare == x);
        match width {
            Width::Narrow => self.high.iter_mut().zip(values).for_each(|(to, &x)| *to = x as i32),
            Width::Middle => {
                self.high.iter_mut().zip(values).for_each(|(to, &x)| *to = (x >> 16) as i32);
                self.low.iter_mut().zip(values).for_each(|(to, &x)| *to = x as u16);
            }
            Width::Wide => self.wide.copy_from_slice(values),
        }
        fits
    }

    /// All of it.
    pub fn view(&self) -> View<'_> {
        View { high: &self.high, low: &self.low, wide: &self.wide }
    }

    /// All of it.
    pub fn view_mut(&mut self) -> ViewMut<'_> {
        ViewMut { high: &mut self.high, low: &mut self.low, wide: &mut self.wide }
    }
}

fn split<T>(all: &[T], at: usize) -> (&[T], &[T]) {
    all.split_at(at.min(all.len()))
}

fn split_mut<T>(all: &mut [T], at: usize) -> (&mut [T], &mut [T]) {
    let at = at.min(all.len());
    all.split_at_mut(at)
}

fn block<'a, T>(part: &'a [T], number: usize, none: &'a [T; BLOCK]) -> &'a [T; BLOCK] {
    part.get(number * BLOCK..).and_then(<[T]>::first_chunk).unwrap_or(none)
}

fn fill<T: Copy>(to: &mut [T; BLOCK], part: &[T], from: usize) {
    if let Some(rest) = part.get(from..) {
        to[..rest.len()].copy_from_slice(rest);
    }
}

fn put<T: Copy>(part: &mut [T], from: usize, count: usize, values: &[T; BLOCK]) {
    if !part.is_empty() {
        part[from..from + count].copy_from_slice(&values[..count]);
    }
}

impl<'a> View<'a> {
    /// The first `at` elements, and the others.
    pub fn split_at(self, at: usize) -> (Self, Self) {
        let ((high, h), (low, l), (wide, w)) = (split(self.high, at), split(self.low, at), split(self.wide, at));
        (Self { high, low, wide }, Self { high: h, low: l, wide: w })
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

impl<'a> ViewMut<'a> {
    /// The first `at` elements, and the others.
    pub fn split_at(self, at: usize) -> (Self, Self) {
        let (high, h) = split_mut(self.high, at);
        let (low, l) = split_mut(self.low, at);
        let (wide, w) = split_mut(self.wide, at);
        (Self { high, low, wide }, Self { high: h, low: l, wide: w })
    }

    /// Writes the first `count` integers of a block from element `from` on.
    #[inline(always)]
    pub fn put(&mut self, from: usize, count: usize, values: &Packed) {
        put(self.high, from, count, &values.high);
        put(self.low, from, count, &values.low);
        put(self.wide, from, count, &values.wide);
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
