//! Metrics that are not defined: why, and what a case is worth then.

use serde::{Deserialize, Serialize};
use std::fmt;

/// Why a metric is undefined.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Emptiness {
    /// The prediction has nothing to measure (no foreground, no surface, or no centre-line), the reference has.
    Prediction,
    /// The reference has nothing to measure, the prediction has.
    Reference,
    /// Neither has.
    Both,
    /// Both have centre-lines, and no pixel of either lies in the other mask.
    DisjointCentrelines,
}

impl Emptiness {
    pub(crate) fn of(prediction_empty: bool, reference_empty: bool) -> Option<Self> {
        match (prediction_empty, reference_empty) {
            (true, true) => Some(Self::Both),
            (true, false) => Some(Self::Prediction),
            (false, true) => Some(Self::Reference),
            (false, false) => None,
        }
    }
}

impl fmt::Display for Emptiness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Prediction => "the prediction is empty",
            Self::Reference => "the reference is empty",
            Self::Both => "both masks are empty",
            Self::DisjointCentrelines => "no centre-line pixel lies in the other mask",
        })
    }
}

/// One metric of one case, with how it came about.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub enum Score {
    /// Measured.
    Defined(f64),
    /// Undefined; the policy put this value in its place.
    Substituted {
        /// The policy's value.
        value: f64,
        /// Why the metric is undefined.
        cause: Emptiness,
    },
    /// Undefined; the policy leaves the case out.
    Skipped {
        /// Why the metric is undefined.
        cause: Emptiness,
    },
}

impl Score {
    /// The value that enters aggregates; `None` when the policy left the case out.
    pub fn value(&self) -> Option<f64> {
        match *self {
            Self::Defined(value) | Self::Substituted { value, .. } => Some(value),
            Self::Skipped { .. } => None,
        }
    }

    /// Why the metric is undefined, if it is.
    pub fn cause(&self) -> Option<Emptiness> {
        match *self {
            Self::Defined(_) => None,
            Self::Substituted { cause, .. } | Self::Skipped { cause } => Some(cause),
        }
    }
}
