//! A step cut into parts, each for one thread at a time.

use rayon::prelude::*;

use crate::arch::Arch;
use crate::block::{self, BLOCK, Outcome, Part, STATES};
use crate::formats::GRADIENT_BITS;
use crate::plane::{Plane, View, ViewMut};
use crate::rules::{Row, Step};
use crate::stepper::{Source, Tensor};
use crate::stream;
use crate::threads::pool;

/// The most elements of a part; whole blocks.
const CHUNK: usize = 256 * BLOCK;

/// A rule's state, and room for the next one.
pub struct Planes<'a> {
    pub row: &'a Row,
    pub old: &'a [Plane],
    pub new: &'a mut [Plane],
}

/// Parts of one tensor each, in the order of the elements. All lengths fit.
pub fn parts<'a>(
    planes: Planes<'a>,
    tensors: &[Tensor],
    source: &'a mut Source<'_>,
    mut gradients: &'a mut [i32],
    steps: &'a [Box<dyn Step>],
    mut refused: &'a mut [bool],
) -> Vec<Part<'a>> {
    let bypass = planes.row.bytes() * gradients.len() >= stream::LARGE;
    let mut old: [View<'a>; STATES] = Default::default();
    let mut new: [ViewMut<'a>; STATES] = Default::default();
    old.iter_mut().zip(planes.old).for_each(|(to, plane)| *to = plane.view());
    new.iter_mut().zip(planes.new).for_each(|(to, plane)| *to = plane.view_mut());
    let mut parts = Vec::new();
    for (tensor, mut own) in tensors.iter().zip(sources(source, tensors)) {
        let mut left = tensor.size;
        while left > 0 {
            let size = left.min(CHUNK);
            left -= size;
            parts.push(Part {
                step: &*steps[tensor.group],
                bypass,
                old: std::array::from_fn(|j| old[j].take(size)),
                new: std::array::from_fn(|j| new[j].take(size)),
                source: own.take(size),
                gradients: gradients.split_off_mut(..size).unwrap_or_default(),
                refused: refused.split_off_mut(..size.div_ceil(BLOCK)).unwrap_or_default(),
            });
        }
    }
    parts
}

/// Each tensor's own.
fn sources<'a>(source: &'a mut Source<'_>, tensors: &[Tensor]) -> Vec<block::Source<'a>> {
    match source {
        Source::Integers(integers) => {
            let mut all = block::Source::Integers(integers);
            tensors.iter().map(|tensor| all.take(tensor.size)).collect()
        }
        Source::Model { gradients, weights, k } => {
            let scale = 2_f64.powi(GRADIENT_BITS + *k);
            let pairs = gradients.iter().zip(weights);
            pairs.map(|(floats, weights)| block::Source::Model(floats, scale, weights)).collect()
        }
    }
}

impl block::Source<'_> {
    /// The first `count` elements, which are taken away.
    fn take(&mut self, count: usize) -> Self {
        match self {
            Self::Integers(integers) => Self::Integers(integers.split_off(..count).unwrap_or_default()),
            Self::Model(floats, scale, weights) => Self::Model(
                floats.split_off(..count).unwrap_or_default(),
                *scale,
                weights.split_off_mut(..count).unwrap_or_default(),
            ),
        }
    }
}

/// Takes the step of all parts, on the calling thread if there are no more elements than one part may have.
pub fn run(parts: &mut [Part<'_>], arch: Arch, threads: usize) -> Outcome {
    let one = |part: &mut Part<'_>| part.step.run(arch, part);
    let few = parts.iter().map(|part| part.gradients.len()).sum::<usize>() <= CHUNK;
    match pool(if few { 1 } else { threads }) {
        None => parts.iter_mut().map(one).fold(Outcome::default(), Outcome::and),
        Some(pool) => pool.install(|| parts.par_iter_mut().map(one).reduce(Outcome::default, Outcome::and)),
    }
}
