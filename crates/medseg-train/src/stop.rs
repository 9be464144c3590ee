//! A flag that asks a run to save its state and end.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// Shared between the loop and whoever wants it to stop (a signal handler, a user interface, a test).
#[derive(Debug, Clone)]
pub struct StopFlag {
    raised: Arc<AtomicBool>,
    steps_left: Arc<AtomicU64>,
}

impl Default for StopFlag {
    fn default() -> Self {
        Self { raised: Arc::default(), steps_left: Arc::new(AtomicU64::new(u64::MAX)) }
    }
}

impl StopFlag {
    /// A lowered flag.
    pub fn new() -> Self {
        Self::default()
    }

    /// A flag that raises itself after `steps` optimiser steps (over all runs that share it).
    pub fn after_steps(steps: u64) -> Self {
        Self { raised: Arc::default(), steps_left: Arc::new(AtomicU64::new(steps)) }
    }

    /// Asks to stop.
    pub fn raise(&self) {
        self.raised.store(true, Ordering::SeqCst);
    }

    /// Whether someone asked.
    pub fn is_raised(&self) -> bool {
        self.raised.load(Ordering::SeqCst)
    }

    /// Called by the loop after each optimiser step.
    pub fn count_step(&self) {
        let update = |left: u64| (left != u64::MAX).then(|| left.saturating_sub(1));
        if let Ok(1 | 0) = self.steps_left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, update) {
            self.raise();
        }
    }
}
