//! The sizes of a proof, all of which follow from its statement: nothing in a proof says how long anything is.

use zk_autograd_air::Air;
use zk_autograd_air::describe::counts;

use crate::error::Error;
use crate::parameters::{LOG_BLOWUP, LOG_FINAL_DOMAIN, LOG_PARAMS, LOG_ROWS, MASK, MAX_LOG_ARITY, Preset};

/// The sizes of a statement's proof.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shape {
    /// log2 of the block's parameters N.
    pub log_params: usize,
    /// log2 of the segment's steps T.
    pub log_steps: usize,
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
    /// log2 of each folding step's arity.
    pub folds: Vec<usize>,
    /// How many of the folding steps lead from the rows' words to the states'.
    pub folds_to_states: usize,
    /// Coefficients of the final polynomial.
    pub final_length: usize,
    /// Queries, with repetitions.
    pub queries: usize,
}

impl Shape {
    /// The sizes for `2^log_params` parameters and `2^log_steps` steps.
    ///
    /// # Errors
    /// If the block or the segment is too small or too large.
    pub fn new(air: &Air, preset: Preset, log_params: usize, log_steps: usize) -> Result<Self, Error> {
        let log_rows = log_params.saturating_add(log_steps);
        if !LOG_PARAMS.contains(&log_params) {
            return Err(Error::Statement(format!(
                "a block has 2^{} to 2^{} parameters, not 2^{log_params}",
                LOG_PARAMS.start(),
                LOG_PARAMS.end()
            )));
        }
        if !LOG_ROWS.contains(&log_rows) {
            return Err(Error::Statement(format!(
                "a segment has 2^{} to 2^{} rows (parameters times steps), not 2^{log_rows}",
                LOG_ROWS.start(),
                LOG_ROWS.end()
            )));
        }
        let counts = counts(air);
        let to_states = split(log_steps);
        let folds_to_states = to_states.len();
        let mut folds = to_states;
        folds.extend(split(log_params + LOG_BLOWUP - LOG_FINAL_DOMAIN));
        let folded = log_rows + LOG_BLOWUP - LOG_FINAL_DOMAIN;
        // The quotient's last part has n + 3 k coefficients, a state N + k; both end in the same final polynomial.
        let rows = ((1 << log_rows) + 3 * MASK).div_ceil(1 << folded);
        let states = ((1 << log_params) + MASK).div_ceil(1 << (folded - log_steps));
        let final_length = rows.max(states);
        let rate = (final_length * 256).div_ceil(1 << LOG_FINAL_DOMAIN);
        let queries = preset
            .queries(rate)
            .ok_or_else(|| Error::Statement(format!("no number of queries is known for a rate of {rate} / 256")))?;
        Ok(Self {
            log_params,
            log_steps,
            main: counts.main + 1,
            gradient: counts.gradient,
            helpers: (counts.ranges - 1).div_ceil(2),
            states: counts.states,
            zeros: counts.zeros,
            ranges: counts.ranges,
            folds,
            folds_to_states,
            final_length,
            queries,
        })
    }

    /// log2 of the rows n = N T.
    #[must_use]
    pub const fn log_rows(&self) -> usize {
        self.log_params + self.log_steps
    }

    /// log2 of the length of the rows' words.
    #[must_use]
    pub const fn log_row_words(&self) -> usize {
        self.log_rows() + LOG_BLOWUP
    }

    /// log2 of the length of the states' words.
    #[must_use]
    pub const fn log_state_words(&self) -> usize {
        self.log_params + LOG_BLOWUP
    }

    /// The words that the low-degree test sees have at most this many coefficients. They are quotients by `X - z`, so a column
    /// has at most one more.
    #[must_use]
    pub const fn enforced_length(&self) -> usize {
        self.final_length << (self.log_row_words() - LOG_FINAL_DOMAIN)
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

/// `bits` in nearly equal parts of at most [`MAX_LOG_ARITY`].
fn split(bits: usize) -> Vec<usize> {
    let parts = bits.div_ceil(MAX_LOG_ARITY);
    (0..parts).map(|i| bits * (i + 1) / parts - bits * i / parts).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
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
                        assert_eq!(shape.folds.iter().sum::<usize>() + LOG_FINAL_DOMAIN, shape.log_row_words());
                        assert_eq!(shape.folds[..shape.folds_to_states].iter().sum::<usize>(), log_steps);
                        assert!(shape.folds.iter().all(|a| (1..=MAX_LOG_ARITY).contains(a)));
                        // A state is opened in two proofs, at a point of the extension in each, and where it is sealed.
                        assert!(2 * (shape.queries + 2) + 2 <= MASK);
                    }
                }
            }
        }
    }
}
