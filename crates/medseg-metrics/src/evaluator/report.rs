//! The cases of one evaluation under one lock.

use super::case::Case;
use super::lock::Lock;
use crate::{Metric, MetricsError, Result};
use std::collections::HashSet;

/// The cases of one evaluation under one lock.
#[derive(Debug, Clone, PartialEq)]
pub struct Report {
    lock: Lock,
    cases: Vec<Case>,
}

impl Report {
    pub(super) fn new(lock: Lock, cases: Vec<Case>) -> Result<Self> {
        let mut seen = HashSet::new();
        if let Some(twice) = cases.iter().find(|case| !seen.insert(&case.id)) {
            return Err(MetricsError::DuplicateCase(twice.id.clone()));
        }
        if !lock.protocol().ignored_pixels()
            && let Some(case) = cases.iter().find(|case| case.ignored > 0)
        {
            return Err(MetricsError::IgnoredPixels { case: case.id.clone(), pixels: case.ignored });
        }
        Ok(Self { lock, cases })
    }

    /// What the results were made with.
    pub fn lock(&self) -> &Lock {
        &self.lock
    }

    /// The cases, in the order of evaluation.
    pub fn cases(&self) -> &[Case] {
        &self.cases
    }

    /// The metrics of every case, in the order of output columns.
    pub fn metrics(&self) -> Vec<Metric> {
        Metric::all(self.lock.protocol())
    }

    /// The cases of both reports.
    ///
    /// # Errors
    /// When the locks differ, or a case is in both.
    pub fn merge(mut self, other: Self) -> Result<Self> {
        self.lock.require_equal(&other.lock)?;
        self.cases.extend(other.cases);
        Self::new(self.lock, self.cases)
    }
}
