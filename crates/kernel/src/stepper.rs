//! The state of a whole model, its step, and the way back.

use crate::arch::Arch;
use crate::block::BLOCK;
use crate::formats::{SCALES, dequantize};
use crate::parts::{Planes, parts, run};
use crate::plane::Plane;
use crate::rules::{Row, Step, WEIGHT};

/// A tensor of the model: its number of elements, which follow each other in the state, and its group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tensor {
    /// Elements.
    pub size: usize,
    /// Whose constants are its own.
    pub group: usize,
}

/// Where a step's gradients come from, one slice for each tensor.
pub enum Source<'a> {
    /// Floats under the scale 2^k, and the weights that belong to the state: compared, then overwritten.
    Model {
        /// Read.
        gradients: Vec<&'a [f32]>,
        /// Overwritten.
        weights: Vec<&'a mut [f32]>,
        /// The scale's exponent.
        k: i32,
    },
    /// The integers of all tensors.
    Integers(&'a [i32]),
}

/// Why there was no step, or no stepper.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// Something doesn't fit: the caller's mistake, in a sentence.
    Misfit(String),
    /// There is not enough memory.
    Memory,
    /// A weight isn't what the state says, a gradient isn't finite, or something left its range. State and weights are as
    /// they were.
    Step,
}

/// The state of all elements, and room for the next one. The step that was taken last can be undone, unless one was
/// refused after it.
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
    /// [`Refusal`]: `Step` for a value outside the range that steps leave it in.
    pub fn new(row: &'static Row, tensors: Vec<Tensor>, state: &[&[i64]]) -> Result<Self, Refusal> {
        let size = tensors.iter().map(|t| t.size).sum();
        if state.len() != row.states.len() || state.iter().any(|values| values.len() != size) {
            return Err(Refusal::Misfit(format!("{} has {} states of {size} elements", row.name, row.states.len())));
        }
        let mut inside = state.iter().zip(row.states);
        if !inside.all(|(values, (_, range))| values.iter().all(|x| range.contains(x))) {
            return Err(Refusal::Step);
        }
        let planes = || row.states.iter().map(|(width, _)| Plane::zeros(*width, size)).collect::<Result<Vec<_>, _>>();
        let (Ok(mut packed), Ok(other)) = (planes(), planes()) else { return Err(Refusal::Memory) };
        for ((plane, values), (width, _)) in packed.iter_mut().zip(state).zip(row.states) {
            plane.pack(*width, values);
        }
        Ok(Self { row, tensors, size, state: packed, other, undoable: false })
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
        let steps = self.prepared(&source, gradients, constants)?;
        self.undoable = false;
        let mut refused = vec![false; self.tensors.iter().map(|t| t.size.div_ceil(BLOCK)).sum()];
        let planes = Planes { row: self.row, old: &self.state, new: &mut self.other };
        let outcome =
            run(&mut parts(planes, &self.tensors, &mut source, gradients, &steps, &mut refused), arch, threads);
        if !outcome.refused {
            std::mem::swap(&mut self.state, &mut self.other);
            self.undoable = true;
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
    pub fn write(&self, weights: &mut [&mut [f32]]) -> Result<(), Refusal> {
        self.require_lengths(weights.iter().map(|slice| slice.len()), "weights")?;
        let mut view = self.state[0].view();
        for slice in weights {
            let own = view.take(slice.len());
            slice.iter_mut().enumerate().for_each(|(i, to)| *to = dequantize(own.get(WEIGHT.0, i)));
        }
        Ok(())
    }

    /// Writes the state numbered `number` to `values`.
    ///
    /// # Errors
    /// For a slice of another length.
    pub fn read(&self, number: usize, values: &mut [i64]) -> Result<(), Refusal> {
        if values.len() != self.size || number >= self.state.len() {
            return Err(Refusal::Misfit(format!("there are {} states of {} elements", self.state.len(), self.size)));
        }
        let (view, width) = (self.state[number].view(), self.row.states[number].0);
        values.iter_mut().enumerate().for_each(|(i, to)| *to = view.get(width, i));
        Ok(())
    }

    fn require_lengths(&self, lengths: impl ExactSizeIterator<Item = usize>, what: &str) -> Result<(), Refusal> {
        let tensors = &self.tensors;
        if lengths.len() == tensors.len() && lengths.zip(tensors).all(|(length, tensor)| length == tensor.size) {
            return Ok(());
        }
        Err(Refusal::Misfit(format!("the {what} don't have the sizes of the tensors")))
    }

    /// The rule with each group's constants. Misfit if something isn't as the model is.
    fn prepared(
        &self,
        source: &Source<'_>,
        gradients: &[i32],
        constants: &[&[i64]],
    ) -> Result<Vec<Box<dyn Step>>, Refusal> {
        let integers = match source {
            Source::Model { gradients, weights, k } => {
                self.require_lengths(gradients.iter().map(|slice| slice.len()), "gradients")?;
                self.require_lengths(weights.iter().map(|slice| slice.len()), "weights")?;
                if !SCALES.contains(k) {
                    return Err(Refusal::Misfit(format!("a gradient's scale is 2^{k}")));
                }
                self.size
            }
            Source::Integers(integers) => integers.len(),
        };
        if integers != self.size || gradients.len() != self.size {
            return Err(Refusal::Misfit(format!("there are {} elements", self.size)));
        }
        if self.tensors.iter().any(|tensor| tensor.group >= constants.len()) {
            return Err(Refusal::Misfit(format!("there are constants for {} groups", constants.len())));
        }
        let step =
            |list: &&[i64]| (self.row.step)(list).ok_or_else(|| Refusal::Misfit(format!("{list:?} are no constants")));
        constants.iter().map(step).collect()
    }

    /// Writes back the weights of the blocks that a refused step has written: those that had nothing to refuse themselves, whose
    /// weights were the state's.
    fn restore(&self, weights: &mut [&mut [f32]], refused: &[bool]) {
        let (mut view, mut refused) = (self.state[0].view(), refused.iter());
        for block in weights.iter_mut().flat_map(|slice| slice.chunks_mut(BLOCK)) {
            let own = view.take(block.len());
            if refused.next() == Some(&false) {
                block.iter_mut().enumerate().for_each(|(i, to)| *to = dequantize(own.get(WEIGHT.0, i)));
            }
        }
    }
}
