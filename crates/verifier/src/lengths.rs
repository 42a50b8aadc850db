//! The lengths of a table's words, and of what the low-degree test makes of them: the same for
//! every kind of table.
//!
//! A table has n = N T rows, T on each of its N lines. A line of the optimizer's table is one
//! parameter's steps.

use crate::error::Error;
use crate::parameters::{LOG_BLOWUP, LOG_FINAL_DOMAIN, LOG_PARAMS, LOG_ROWS, MASK, MAX_LOG_ARITY, Preset};

/// What a column is a function on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Domain {
    /// All n rows.
    Rows,
    /// The N lines: a column that has one value for each.
    Lines,
}

/// The lengths of a table of N lines of T rows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lengths {
    /// log2 of the lines N: the block's parameters.
    pub log_params: usize,
    /// log2 of a line's rows T: the segment's steps.
    pub log_steps: usize,
    /// log2 of each folding step's arity.
    pub folds: Vec<usize>,
    /// How many of the folding steps lead from the rows' words to the lines', the states'.
    pub folds_to_states: usize,
    /// Coefficients of the final polynomial.
    pub final_length: usize,
    /// Queries, with repetitions.
    pub queries: usize,
}

impl Lengths {
    /// The lengths for `2^log_params` lines of `2^log_steps` rows.
    ///
    /// # Errors
    /// If the block or the segment is too small or too large.
    pub fn new(preset: Preset, log_params: usize, log_steps: usize) -> Result<Self, Error> {
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
        let to_states = split(log_steps);
        let folds_to_states = to_states.len();
        let mut folds = to_states;
        folds.extend(split(log_params + LOG_BLOWUP - LOG_FINAL_DOMAIN));
        let folded = log_rows + LOG_BLOWUP - LOG_FINAL_DOMAIN;
        // The quotient's last part has n + 3 k coefficients, a state N + k; both end in the same
        // final polynomial.
        let rows = ((1 << log_rows) + 3 * MASK).div_ceil(1 << folded);
        let states = ((1 << log_params) + MASK).div_ceil(1 << (folded - log_steps));
        let final_length = rows.max(states);
        let rate = (final_length * 256).div_ceil(1 << LOG_FINAL_DOMAIN);
        let queries = preset
            .queries(rate)
            .ok_or_else(|| Error::Statement(format!("no number of queries is known for a rate of {rate} / 256")))?;
        Ok(Self { log_params, log_steps, folds, folds_to_states, final_length, queries })
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

    /// log2 of the length of the lines' words, which are the states'.
    #[must_use]
    pub const fn log_state_words(&self) -> usize {
        self.log_params + LOG_BLOWUP
    }

    /// log2 of the length of the words of functions on a domain.
    #[must_use]
    pub const fn log_words(&self, domain: Domain) -> usize {
        match domain {
            Domain::Rows => self.log_row_words(),
            Domain::Lines => self.log_state_words(),
        }
    }

    /// The words that the low-degree test sees have at most this many coefficients. They are
    /// quotients by `X - z`, so a column has at most one more.
    #[must_use]
    pub const fn enforced_length(&self) -> usize {
        self.final_length << (self.log_row_words() - LOG_FINAL_DOMAIN)
    }
}

/// `bits` in nearly equal parts of at most [`MAX_LOG_ARITY`].
fn split(bits: usize) -> Vec<usize> {
    let parts = bits.div_ceil(MAX_LOG_ARITY);
    (0..parts).map(|i| bits * (i + 1) / parts - bits * i / parts).collect()
}
