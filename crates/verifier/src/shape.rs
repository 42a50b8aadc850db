//! The sizes of a segment's proof, all of which follow from its statement: nothing in a proof says
//! how long anything is.

use zk_autograd_air::Air;
use zk_autograd_air::describe::counts;

use crate::error::Error;
use crate::lengths::Lengths;
use crate::parameters::Preset;

/// The sizes of a statement's proof.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shape {
    /// The lengths of words.
    pub lengths: Lengths,
    /// Columns in the main tree: the relations', then the multiplicities.
    pub main: usize,
    /// Columns of the gradient.
    pub gradient: usize,
    /// Helper columns of the lookups, over the extension; the running sum comes after them.
    pub helpers: usize,
    /// Parts of the state.
    pub states: usize,
    /// Relations that are zero.
    pub zeros: usize,
    /// Lookups.
    pub ranges: usize,
}

impl Shape {
    /// The sizes for `2^log_params` parameters and `2^log_steps` steps.
    ///
    /// # Errors
    /// If the block or the segment is too small or too large.
    pub fn new(air: &Air, preset: Preset, log_params: usize, log_steps: usize) -> Result<Self, Error> {
        let lengths = Lengths::new(preset, log_params, log_steps)?;
        let counts = counts(air);
        Ok(Self {
            lengths,
            main: counts.main + 1,
            gradient: counts.gradient,
            helpers: (counts.ranges - 1).div_ceil(2),
            states: counts.states,
            zeros: counts.zeros,
            ranges: counts.ranges,
        })
    }

    /// Relations that are joined by the composition challenge.
    #[must_use]
    pub const fn relations(&self) -> usize {
        self.zeros + self.helpers + 1 + 3 * self.states
    }

    /// Values at the out-of-domain point, and at the points that go with it.
    #[must_use]
    pub const fn out_of_domain(&self) -> usize {
        self.main + self.gradient + self.helpers + 1 + 2 + self.states + 1 + 2 * self.states
    }

    /// Words that are joined by the batch challenge.
    #[must_use]
    pub const fn batched(&self) -> usize {
        // The out-of-domain values, the sealed values of the gradient and of both states, and the mask.
        self.out_of_domain() + 1 + 2 * self.states + 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parameters::{LOG_FINAL_DOMAIN, LOG_PARAMS, LOG_ROWS, MASK, MAX_LOG_ARITY};
    use zk_autograd_air::{Rule, Variant};

    #[test]
    fn every_admissible_shape_has_queries_and_folds_that_meet() {
        for rule in Rule::ALL {
            let air = Air::generic(&Variant { rule, s: 30, decay: true, weights_in_range: true });
            for log_params in LOG_PARAMS {
                for log_steps in 0..=7 {
                    let rows = log_params + log_steps;
                    for preset in Preset::ALL {
                        let shape = Shape::new(&air, preset, log_params, log_steps);
                        if !LOG_ROWS.contains(&rows) {
                            assert!(shape.is_err());
                            continue;
                        }
                        let shape = shape.unwrap();
                        assert_eq!(
                            shape.lengths.folds.iter().sum::<usize>() + LOG_FINAL_DOMAIN,
                            shape.lengths.log_row_words()
                        );
                        assert_eq!(
                            shape.lengths.folds[..shape.lengths.folds_to_states].iter().sum::<usize>(),
                            log_steps
                        );
                        assert!(shape.lengths.folds.iter().all(|a| (1..=MAX_LOG_ARITY).contains(a)));
                        // A state is opened in two proofs, at a point of the extension in each, and where it is sealed.
                        assert!(2 * (shape.lengths.queries + 2) + 2 <= MASK);
                    }
                }
            }
        }
    }
}
