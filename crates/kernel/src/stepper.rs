//! The state of a whole model, its step, and the way back.

use rayon::prelude::*;

use crate::arch::Arch;
use crate::block::{self, BLOCK, Outcome, Part, STATES};
use crate::formats::{GRADIENT_BITS, SCALES, dequantize};
use crate::plane::{Plane, View, ViewMut};
use crate::rules::{Row, Step};
use crate::threads::pool;

/// Elements that a thread takes at a time.
const CHUNK: usize = 128 * BLOCK;

/// A tensor of the model: its number of elements, which follow each other in the state, and its group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tensor {
    pub size: usize,
    pub group: usize,
}

/// Where a step's gradients come from, one slice for each tensor.
pub enum Source<'a> {
    /// Floats under the scale 2^k, and the weights that belong to the state: compared, then overwritten.
    Model { gradients: Vec<&'a [f32]>, weights: Vec<&'a mut [f32]>, k: i32 },
    /// The integers of all tensors.
    Integers(&'a [i32]),
}

/// What doesn't fit: the caller's mistake, in a sentence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Misfit(pub String);

/// Why there was no step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// Nothing was computed.
    Misfit(Misfit),
    /// A weight isn't what the state says, a gradient isn't finite, or something left its range. All is as it was before.
    Step,
}

/// The state of all elements. A step that is refused changes nothing; the last one that was taken can be undone.
pub struct Stepper {
    row: &'static Row,
    tensors: Vec<Tensor>,
    size: usize,
    state: Vec<Plane>,
    other: Vec<Plane>,
    undoable: bool,
}

impl Stepper {
    /// A stepper that begins with `state`, one slice of all elements for each of the rule's states.
    ///
    /// # Errors
    /// If a value is outside the range that steps leave it in, or a slice has another length.
    pub fn new(row: &'static Row, tensors: Vec<Tensor>, state: &[&[i64]]) -> Result<Self, Misfit> {
        let size = tensors.iter().map(|t| t.size).sum();
        if state.len() != row.states.len() || state.iter().any(|values| values.len() != size) {
            return Err(Misfit(format!("{} has {} states of {size} elements each", row.name, row.states.len())));
        }
        let planes = || row.states.iter().map(|&(width, ..)| Plane::zeros(width, size)).collect::<Vec<_>>();
        let mut packed = planes();
        for ((plane, values), &(width, least, largest)) in packed.iter_mut().zip(state).zip(row.states) {
            if !values.iter().all(|x| (least..=largest).contains(x)) {
                return Err(Misfit(format!("a state of {} is out of its range", row.name)));
            }
            plane.pack(width, values);
        }
        Ok(Self { row, tensors, size, state: packed, other: planes(), undoable: false })
    }

    /// How many elements there are.
    #[must_use]
    pub fn size(&self) -> usize {
        self.size
    }

    /// Takes a step: `gradients` becomes its G, `constants` are those of each group. How many gradients saturated.
    ///
    /// # Errors
    /// [`Refusal`]. `gradients` means nothing then.
    pub fn step(
        &mut self,
        mut source: Source<'_>,
        gradients: &mut [i32],
        constants: &[&[i64]],
        arch: Arch,
        threads: usize,
    ) -> Result<u64, Refusal> {
        let steps = self.prepared(&source, gradients, constants).map_err(Refusal::Misfit)?;
        let mut refused = vec![false; self.tensors.iter().map(|t| t.size.div_ceil(BLOCK)).sum()];
        let threads = if self.size <= CHUNK { 1 } else { threads };
        let outcome = run(&mut self.parts(&mut source, gradients, &steps, &mut refused), arch, threads);
        self.undoable = !outcome.refused;
        if self.undoable {
            std::mem::swap(&mut self.state, &mut self.other);
            return Ok(outcome.saturated);
        }
        if let Source::Model { weights, .. } = &mut source {
            self.restore(weights, &refused);
        }
        Err(Refusal::Step)
    }

    /// Takes the last step back. False if there is none.
    pub fn undo(&mut self) -> bool {
        if self.undoable {
            std::mem::swap(&mut self.state, &mut self.other);
        }
        std::mem::take(&mut self.undoable)
    }

    /// Writes the floats of the weights.
    ///
    /// # Errors
    /// For slices of other lengths than the tensors'.
    pub fn write(&self, weights: &mut [&mut [f32]]) -> Result<(), Misfit> {
        self.require_lengths(weights.iter().map(|slice| slice.len()), "weights")?;
        let mut from = 0;
        for slice in weights {
            let (_, rest) = self.state[0].view().split_at(from);
            let width = self.row.states[0].0;
            slice.iter_mut().enumerate().for_each(|(i, to)| *to = dequantize(rest.get(width, i)));
            from += slice.len();
        }
        Ok(())
    }

    /// Writes the state numbered `number` to `values`.
    ///
    /// # Errors
    /// For a slice of another length.
    pub fn read(&self, number: usize, values: &mut [i64]) -> Result<(), Misfit> {
        if values.len() != self.size || number >= self.state.len() {
            return Err(Misfit(format!("there are {} states of {} elements", self.state.len(), self.size)));
        }
        let (view, width) = (self.state[number].view(), self.row.states[number].0);
        values.iter_mut().enumerate().for_each(|(i, to)| *to = view.get(width, i));
        Ok(())
    }

    fn require_lengths(&self, lengths: impl ExactSizeIterator<Item = usize>, what: &str) -> Result<(), Misfit> {
        let tensors = &self.tensors;
        if lengths.len() == tensors.len() && lengths.zip(tensors).all(|(length, tensor)| length == tensor.size) {
            return Ok(());
        }
        Err(Misfit(format!("the {what} don't have the sizes of the tensors")))
    }

    /// The rule with each group's constants. Misfit if something isn't as the model is.
    fn prepared(
        &self,
        source: &Source<'_>,
        gradients: &[i32],
        constants: &[&[i64]],
    ) -> Result<Vec<Box<dyn Step>>, Misfit> {
        let integers = match source {
            Source::Model { gradients, weights, k } => {
                self.require_lengths(gradients.iter().map(|slice| slice.len()), "gradients")?;
                self.require_lengths(weights.iter().map(|slice| slice.len()), "weights")?;
                if !SCALES.contains(k) {
                    return Err(Misfit(format!("a gradient's scale is 2^{k}")));
                }
                self.size
            }
            Source::Integers(integers) => integers.len(),
        };
        if integers != self.size || gradients.len() != self.size {
            return Err(Misfit(format!("there are {} elements", self.size)));
        }
        if self.tensors.iter().any(|tensor| tensor.group >= constants.len()) {
            return Err(Misfit(format!("there are constants for {} groups", constants.len())));
        }
        let step = |list: &&[i64]| (self.row.step)(list).ok_or_else(|| Misfit(format!("{list:?} are no constants")));
        constants.iter().map(step).collect()
    }

    /// The elements in parts that threads take, each of one tensor.
    fn parts<'a>(
        &'a mut self,
        source: &'a mut Source<'_>,
        mut gradients: &'a mut [i32],
        steps: &'a [Box<dyn Step>],
        mut refused: &'a mut [bool],
    ) -> Vec<Part<'a>> {
        let mut old: [View<'a>; STATES] = Default::default();
        let mut new: [ViewMut<'a>; STATES] = Default::default();
        old.iter_mut().zip(&self.state).for_each(|(to, plane)| *to = plane.view());
        new.iter_mut().zip(&mut self.other).for_each(|(to, plane)| *to = plane.view_mut());
        let mut all = match source {
            Source::Integers(integers) => vec![block::Source::Integers(integers)],
            Source::Model { gradients, weights, k } => {
                let scale = 2_f64.powi(GRADIENT_BITS + *k);
                let pairs = gradients.iter().zip(weights).rev();
                pairs.map(|(floats, weights)| block::Source::Model(floats, scale, weights)).collect()
            }
        };
        let mut parts = Vec::new();
        for tensor in &self.tensors {
            let mut left = tensor.size;
            let mut own = match all.pop() {
                Some(block::Source::Integers(integers)) => {
                    let (own, rest) = integers.split_at(left);
                    all.push(block::Source::Integers(rest));
                    block::Source::Integers(own)
                }
                Some(model) => model,
                None => break, // the lengths have been compared
            };
            while left > 0 {
                let size = left.min(CHUNK);
                left -= size;
                let (source, rest) = cut(own, size);
                own = rest;
                let mine: [View<'a>; STATES] = std::array::from_fn(|j| {
                    let (mine, rest) = old[j].split_at(size);
                    old[j] = rest;
                    mine
                });
                let theirs: [ViewMut<'a>; STATES] = std::array::from_fn(|j| {
                    let (mine, rest) = std::mem::take(&mut new[j]).split_at(size);
                    new[j] = rest;
                    mine
                });
                let (g, rest) = std::mem::take(&mut gradients).split_at_mut(size);
                gradients = rest;
                let (f, rest) = std::mem::take(&mut refused).split_at_mut(size.div_ceil(BLOCK));
                refused = rest;
                parts.push(Part {
                    step: &*steps[tensor.group],
                    old: mine,
                    new: theirs,
                    source,
                    gradients: g,
                    refused: f,
                });
            }
        }
        parts
    }

    /// Writes back the weights of the blocks that a refused step has written: those that had nothing to refuse themselves, whose
    /// weights were the state's.
    fn restore(&self, weights: &mut [&mut [f32]], refused: &[bool]) {
        let (view, width) = (self.state[0].view(), self.row.states[0].0);
        let (mut from, mut refused) = (0, refused.iter());
        for slice in weights {
            for block in slice.chunks_mut(BLOCK) {
                if refused.next() == Some(&false) {
                    block.iter_mut().enumerate().for_each(|(i, to)| *to = dequantize(view.get(width, from + i)));
                }
                from += block.len();
            }
        }
    }
}

fn cut(source: block::Source<'_>, at: usize) -> (block::Source<'_>, block::Source<'_>) {
    match source {
        block::Source::Integers(integers) => {
            let (own, rest) = integers.split_at(at);
            (block::Source::Integers(own), block::Source::Integers(rest))
        }
        block::Source::Model(floats, scale, weights) => {
            let ((f, floats), (w, weights)) = (floats.split_at(at), weights.split_at_mut(at));
            (block::Source::Model(f, scale, w), block::Source::Model(floats, scale, weights))
        }
    }
}

fn run(parts: &mut [Part<'_>], arch: Arch, threads: usize) -> Outcome {
    let one = |part: &mut Part<'_>| part.step.run(arch, part);
    match pool(threads) {
        None => parts.iter_mut().map(one).fold(Outcome::default(), Outcome::and),
        Some(pool) => pool.install(|| parts.par_iter_mut().map(one).reduce(Outcome::default, Outcome::and)),
    }
}
