//! A fixed number of elements at a time: rounding, the rule, packing and the float weights, without leaving the nearest
//! cache.

use pulp::{Simd, WithSimd};

use crate::arch::Arch;
use crate::formats::{GRADIENT_BOUND, beyond, dequantize, quantize};
use crate::plane::{Packed, PackedRef, View, ViewMut};
use crate::rules::{Step, Update, moved};
use crate::stream;

/// Elements of a block: old and new state fit a core's nearest cache, and what is stored past it fits the store queue's
/// share of a block, so that storing goes on beside computing.
pub const BLOCK: usize = 128;

/// Most integers of an element's state.
pub const STATES: usize = 3;

/// What a step came to: whether it has to be refused, and how many gradients saturated.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// A weight isn't what the state says, a gradient isn't finite, or something left its range.
    pub refused: bool,
    /// Gradients.
    pub saturated: u64,
}

impl Outcome {
    /// Of both.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self { refused: self.refused | other.refused, saturated: self.saturated + other.saturated }
    }
}

/// What a step of some elements reads and writes.
pub struct Part<'a> {
    pub step: &'a dyn Step,
    /// Whether the new state goes past the caches.
    pub bypass: bool,
    pub old: [View<'a>; STATES],
    pub new: [ViewMut<'a>; STATES],
    pub source: Source<'a>,
    /// G.
    pub gradients: &'a mut [i32],
    /// Whether each block has to be refused.
    pub refused: &'a mut [bool],
}

/// Where gradients come from.
pub enum Source<'a> {
    /// Floats, their scale, and the weights beside them.
    Model(&'a [f32], f64, &'a mut [f32]),
    /// Integers.
    Integers(&'a [i32]),
}

/// A rule, as a [`Step`].
pub struct Ruled<const N: usize, R>(pub R);

impl<const N: usize, R: Update<N>> Step for Ruled<N, R> {
    fn run(&self, arch: Arch, part: &mut Part<'_>) -> Outcome {
        arch.dispatch(Run { rule: &self.0, part })
    }
}

struct Run<'r, 'p, 'a, const N: usize, R> {
    rule: &'r R,
    part: &'p mut Part<'a>,
}

impl<const N: usize, R: Update<N>> WithSimd for Run<'_, '_, '_, N, R> {
    type Output = Outcome;

    // Everything below is inlined here, into the function that pulp compiles once for each set of instructions.
    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) -> Outcome {
        let Part { old, new, source, gradients, refused, bypass, .. } = self.part;
        let mut outcome = Outcome::default();
        let mut next =
            Next { state: [Packed::ZERO; N], gradients: [0; BLOCK], directions: [0; BLOCK], weights: [0.0; BLOCK] };
        let size = gradients.len();
        for (number, flag) in refused.iter_mut().enumerate() {
            let from = number * BLOCK;
            let count = BLOCK.min(size - from);
            let rest;
            let state: [PackedRef<'_>; N] = if count == BLOCK {
                std::array::from_fn(|j| old[j].block(number))
            } else {
                rest = std::array::from_fn::<_, N, _>(|j| old[j].tail(from));
                std::array::from_fn(|j| rest[j].view())
            };
            let found = match source {
                Source::Model(floats, scale, weights) => {
                    let (mut ends, mut end_weights) = ([0.0; BLOCK], [0.0; BLOCK]);
                    let floats = whole(floats, from, &mut ends);
                    let before = whole(weights, from, &mut end_weights);
                    let found = block(self.rule, &state, &Floats(floats, *scale, before), &mut next);
                    if !found.refused {
                        weights[from..from + count].copy_from_slice(&next.weights[..count]);
                    }
                    found
                }
                Source::Integers(integers) => {
                    let mut end = [0; BLOCK];
                    block(self.rule, &state, &Integers(whole(integers, from, &mut end)), &mut next)
                }
            };
            for (to, values) in new.iter_mut().zip(&next.state) {
                to.put::<S>(from, count, values, *bypass);
            }
            gradients[from..from + count].copy_from_slice(&next.gradients[..count]);
            *flag = found.refused;
            outcome = outcome.and(found);
        }
        if *bypass {
            stream::fence();
        }
        outcome
    }
}

/// What a block comes to.
#[repr(align(64))]
struct Next<const N: usize> {
    state: [Packed; N],
    gradients: [i32; BLOCK],
    directions: [i32; BLOCK],
    weights: [f32; BLOCK],
}

/// The block from element `from` on; zeros follow the last element, and all of them are a fixed point of every rule.
#[inline(always)]
fn whole<'a, T: Copy>(all: &'a [T], from: usize, end: &'a mut [T; BLOCK]) -> &'a [T; BLOCK] {
    let rest = &all[from..];
    if let Some(block) = rest.first_chunk() {
        return block;
    }
    end[..rest.len()].copy_from_slice(rest);
    end
}

/// A block's gradients.
trait Feed {
    /// That of element i as an integer, whether it saturated, and whether it can't be used.
    fn gradient(&self, i: usize) -> (i64, bool, bool);
    /// How the bits of weight i differ from those of the integer `old`.
    fn change(&self, i: usize, old: i64) -> u32;
}

struct Floats<'a>(&'a [f32; BLOCK], f64, &'a [f32; BLOCK]);
struct Integers<'a>(&'a [i32; BLOCK]);

impl Feed for Floats<'_> {
    #[inline(always)]
    fn gradient(&self, i: usize) -> (i64, bool, bool) {
        quantize(self.0[i], self.1)
    }

    #[inline(always)]
    fn change(&self, i: usize, old: i64) -> u32 {
        dequantize(old).to_bits() ^ self.2[i].to_bits()
    }
}

impl Feed for Integers<'_> {
    #[inline(always)]
    fn gradient(&self, i: usize) -> (i64, bool, bool) {
        let g = i64::from(self.0[i]);
        (g, false, beyond(g, GRADIENT_BOUND))
    }

    #[inline(always)]
    fn change(&self, _: usize, _: i64) -> u32 {
        0
    }
}

/// One block: what all the rest is about.
///
/// Three loops rather than one: each operation of an element waits for the one before, and a processor looks some 130
/// operations ahead, so that it fills its units from several short chains, but not from one that takes a root, then divides.
#[inline(always)]
#[allow(clippy::cast_possible_truncation)] // a gradient that can be used fits 32 bits
fn block<const N: usize, R: Update<N>>(
    rule: &R,
    old: &[PackedRef<'_>; N],
    feed: &impl Feed,
    next: &mut Next<N>,
) -> Outcome {
    let (mut change, mut refused, mut saturated) = (0, false, 0);
    for i in 0..BLOCK {
        let (g, clamped, unusable) = feed.gradient(i);
        refused |= unusable;
        saturated += u64::from(clamped);
        next.gradients[i] = g as i32;
    }
    for i in 0..BLOCK {
        let mut state = [0; N];
        for j in 1..N {
            state[j] = old[j].get(R::WIDTHS[j], i);
        }
        let (state, direction, bad) = rule.moments(state, i64::from(next.gradients[i]));
        refused |= bad;
        for j in 1..N {
            next.state[j].set(R::WIDTHS[j], i, state[j]);
        }
        next.directions[i] = direction as i32;
    }
    for i in 0..BLOCK {
        let mut state = [old[0].get(R::WIDTHS[0], i); N];
        change |= feed.change(i, state[0]);
        for j in 1..N {
            state[j] = next.state[j].view().get(R::WIDTHS[j], i);
        }
        let (u, d) = rule.update(state, i64::from(next.directions[i]));
        let (w, bad) = moved(state[0], u, d);
        refused |= bad;
        next.state[0].set(R::WIDTHS[0], i, w);
        next.weights[i] = dequantize(w);
    }
    Outcome { refused: refused | (change != 0), saturated }
}
