//! How far a proof is: whether somebody wants it to end, and how long its parts took.

use core::sync::atomic::{AtomicBool, Ordering};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::error::ProveError;

/// How far a proof is, and whether to go on with it.
#[derive(Clone, Default)]
pub struct Progress {
    cancelled: Arc<AtomicBool>,
}

impl Progress {
    /// Asks the prover to end at its next step, well within a second.
    pub fn cancel(&self) {
        self.cancelled.store(true, Ordering::Relaxed);
    }

    /// Whether somebody asked for an end.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.cancelled.load(Ordering::Relaxed)
    }

    /// Whether to go on.
    ///
    /// # Errors
    /// [`ProveError::Cancelled`] if not.
    pub fn check(&self) -> Result<(), ProveError> {
        if self.is_cancelled() { Err(ProveError::Cancelled) } else { Ok(()) }
    }
}

/// How long the parts of a proof took.
#[derive(Clone, Debug, Default)]
pub struct Phases(pub Vec<(&'static str, Duration)>);

/// Measures the phases of a proof.
pub(crate) struct Clock {
    last: Instant,
    phases: Vec<(&'static str, Duration)>,
}

impl Clock {
    pub(crate) fn new() -> Self {
        Self { last: Instant::now(), phases: Vec::new() }
    }

    pub(crate) fn lap(&mut self, phase: &'static str) {
        let now = Instant::now();
        let spent = now - self.last;
        self.last = now;
        match self.phases.iter_mut().find(|(name, _)| *name == phase) {
            Some((_, total)) => *total += spent,
            None => self.phases.push((phase, spent)),
        }
    }

    pub(crate) fn finish(self) -> Phases {
        Phases(self.phases)
    }
}
