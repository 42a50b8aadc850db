//! The public part of a proof. All of it comes from the caller, nothing from the proof.

use zk_autograd_air::constants::{SegmentConstants, StepConstants};
use zk_autograd_air::{Air, RuleError, Variant, describe};

use crate::error::Error;
use crate::parameters::{
    BATCH_BITS, FOLD_BITS, LOG_BLOWUP, LOG_FINAL_DOMAIN, LOG_TABLE, LOOKUP_BITS, MASK, POINT_BITS, Preset, QUERY_BITS,
    SALT_BYTES, SEAL_BITS,
};
use crate::sealed::Sealed;
use crate::shape::Shape;

/// The protocol's name and version, first in every transcript and description.
pub const PROTOCOL: &str = "zk-autograd/native/v1";

/// The commitments that a proof speaks of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Commitments {
    /// The state before the segment, in the order of the rule's states.
    pub state_in: Vec<Sealed>,
    /// The state after it.
    pub state_out: Vec<Sealed>,
    /// The gradients of all steps.
    pub gradient: Sealed,
}

impl Commitments {
    /// The commitments in the order of their trees in [`crate::segment`]: the gradient, the states
    /// before, the states after.
    #[must_use]
    pub fn in_tree_order(&self) -> Vec<Sealed> {
        [self.gradient].iter().chain(&self.state_in).chain(&self.state_out).copied().collect()
    }

    /// From that order. `None` for an even number of commitments.
    #[must_use]
    pub fn from_tree_order(sealed: &[Sealed]) -> Option<Self> {
        let (gradient, states) = sealed.split_first()?;
        let (state_in, state_out) = states.split_at(states.len() / 2);
        (state_in.len() == state_out.len()).then(|| Self {
            state_in: state_in.to_vec(),
            state_out: state_out.to_vec(),
            gradient: *gradient,
        })
    }
}

/// What a proof shows: which rule, which constants, at which place of which run, and how large the block is.
#[derive(Clone, Debug)]
pub struct Statement {
    /// The relations.
    pub air: Air,
    /// The steps' constants.
    pub constants: SegmentConstants,
    /// How much is assumed.
    pub preset: Preset,
    /// The sizes.
    pub shape: Shape,
    /// A digest of the run's header, the segment, its first step and the block.
    pub context: [u8; 32],
}

impl Statement {
    /// The statement for `2^log_params` parameters and `steps.len()` steps, a power of two.
    ///
    /// # Errors
    /// [`Error::Statement`] if a size or a constant lies outside its range.
    pub fn new(
        variant: &Variant,
        preset: Preset,
        log_params: usize,
        steps: &[StepConstants],
        context: [u8; 32],
    ) -> Result<Self, Error> {
        if !steps.len().is_power_of_two() {
            return Err(Error::Statement(format!("a segment's steps are a power of two, not {}", steps.len())));
        }
        let refused = |error: RuleError| Error::Statement(error.to_string());
        variant.rule.check_shift(variant.s).map_err(refused)?;
        let log_steps = steps.len().trailing_zeros() as usize;
        // Sizes first: constants of a segment that is too long aren't read.
        let shape = Shape::new(&Air::generic(variant), preset, log_params, log_steps)?;
        let (air, constants) = Air::new(variant, steps).map_err(refused)?;
        Ok(Self { air, constants, preset, shape, context })
    }

    /// The bytes that begin the transcript: protocol, relations, parameters, sizes, constants, place and commitments.
    #[must_use]
    pub fn transcript_bytes(&self, commitments: &Commitments) -> Vec<u8> {
        let mut bytes = Vec::new();
        let text = description(&self.air, self.preset);
        bytes.extend_from_slice(PROTOCOL.as_bytes());
        bytes.extend_from_slice(blake3::hash(text.as_bytes()).as_bytes());
        let mut number = |value: i64| bytes.extend_from_slice(&value.to_le_bytes());
        for size in [
            self.shape.lengths.log_params,
            self.shape.lengths.log_steps,
            self.shape.lengths.final_length,
            self.shape.lengths.queries,
        ] {
            number(i64::try_from(size).unwrap_or(i64::MAX));
        }
        number(self.constants.first);
        number(self.constants.second);
        for step in &self.constants.periodic {
            for value in step {
                number(*value);
            }
        }
        bytes.extend_from_slice(&self.context);
        for sealed in commitments.state_in.iter().chain(&commitments.state_out).chain([&commitments.gradient]) {
            bytes.extend_from_slice(&sealed.to_bytes());
        }
        bytes
    }
}

/// The text of a set of relations with the parameters that it is proved with.
#[must_use]
pub fn description(air: &Air, preset: Preset) -> String {
    format!(
        "{PROTOCOL}\npreset {} mask {MASK} salt {SALT_BYTES} blowup {LOG_BLOWUP} final {LOG_FINAL_DOMAIN} table {LOG_TABLE}\n\
         work lookup {LOOKUP_BITS} point {POINT_BITS} batch {BATCH_BITS} fold {FOLD_BITS} query {QUERY_BITS} seal {SEAL_BITS}\n{}",
        preset.name(),
        describe::text(air)
    )
}
