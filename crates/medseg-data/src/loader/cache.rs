//! Decoded samples that stay in memory between epochs, up to a stated limit.

use crate::transform::Prepared;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

/// One slot a sample. A sample enters while there is room and never leaves: which samples are cached may depend on timing, what
/// they contain does not.
#[derive(Debug)]
pub(super) struct Cache {
    slots: Vec<OnceLock<Arc<Prepared>>>,
    used: AtomicUsize,
    limit: usize,
}

impl Cache {
    pub(super) fn new(samples: usize, limit: usize) -> Self {
        Self { slots: (0..samples).map(|_| OnceLock::new()).collect(), used: AtomicUsize::new(0), limit }
    }

    pub(super) fn get(&self, index: usize) -> Option<Arc<Prepared>> {
        self.slots[index].get().cloned()
    }

    /// Keeps the sample if there is room, and hands it back.
    pub(super) fn offer(&self, index: usize, prepared: Prepared) -> Arc<Prepared> {
        let prepared = Arc::new(prepared);
        let bytes = prepared.bytes();
        let reserve = |used: usize| used.checked_add(bytes).filter(|&total| total <= self.limit);
        if self.used.fetch_update(Ordering::Relaxed, Ordering::Relaxed, reserve).is_ok()
            && self.slots[index].set(Arc::clone(&prepared)).is_err()
        {
            self.used.fetch_sub(bytes, Ordering::Relaxed);
        }
        prepared
    }

    pub(super) fn bytes(&self) -> usize {
        self.used.load(Ordering::Relaxed)
    }
}
