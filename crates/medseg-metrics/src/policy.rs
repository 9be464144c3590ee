//! What a metric is worth when a mask is empty: a decision that belongs to the study, so nothing here has a default.

use crate::{Emptiness, MetricsError, Result, Score};
use serde::{Deserialize, Serialize};
use std::fmt;

/// What stands in for a metric that is not defined.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum EmptyValue {
    /// Refuse with [`MetricsError::Undefined`] (medpy).
    Error,
    /// NaN, which then makes every mean NaN.
    Nan,
    /// The worst value without bound: infinity for a distance, 0 for a score between 0 and 1.
    Infinity,
    /// The worst value that the image allows: its diagonal for a distance, 0 for a score.
    ImageDiagonal,
    /// The best value: 0 for a distance, 1 for a score.
    Perfect,
    /// Leave the case out of the metric and count it.
    Skip,
}

impl EmptyValue {
    /// Every value with its name.
    pub(crate) const ALL: [(Self, &'static str); 6] = [
        (Self::Error, "error"),
        (Self::Nan, "nan"),
        (Self::Infinity, "infinity"),
        (Self::ImageDiagonal, "diagonal"),
        (Self::Perfect, "perfect"),
        (Self::Skip, "skip"),
    ];
}

impl fmt::Display for EmptyValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(Self::ALL.iter().find(|(v, _)| v == self).map_or("", |(_, name)| name))
    }
}

/// The policy for the three ways in which a metric can be undefined.
///
/// There is no `Default`: published tools disagree, and the choice decides rankings. The constants copy the tools.
///
/// ```
/// use medseg_metrics::{EmptyPolicy, EmptyValue};
/// // A missed or invented vessel costs the image diagonal; agreeing that there is none is perfect.
/// let policy = EmptyPolicy::new(EmptyValue::ImageDiagonal, EmptyValue::Perfect);
/// assert_eq!(policy.to_string(), "diagonal,perfect,infinity");
/// assert_eq!("diagonal,perfect".parse::<EmptyPolicy>()?, policy);
/// # Ok::<(), medseg_metrics::MetricsError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct EmptyPolicy {
    /// When one of the two masks has nothing to measure.
    pub one_empty: EmptyValue,
    /// When neither has.
    pub both_empty: EmptyValue,
    /// When both have but no centre-line pixel of either lies in the other, so that clDice is 0/0.
    pub disjoint_centrelines: EmptyValue,
}

impl EmptyPolicy {
    /// medpy raises an exception.
    pub const MEDPY: Self = Self::uniform(EmptyValue::Error);
    /// MONAI's HD and ASSD: infinity when one is empty, NaN when both are. (Its percentiles are NaN in both cases:
    /// [`EmptyPolicy::MONAI_PERCENTILE`].)
    pub const MONAI: Self =
        Self { one_empty: EmptyValue::Infinity, both_empty: EmptyValue::Nan, disjoint_centrelines: EmptyValue::Nan };
    /// MONAI's percentiles: NaN, because it interpolates between infinities.
    pub const MONAI_PERCENTILE: Self = Self::uniform(EmptyValue::Nan);
    /// DeepMind's surface-distance: infinity for both.
    pub const SURFACE_DISTANCE: Self = Self::uniform(EmptyValue::Infinity);
    /// The code released with the SALT paper: infinity when one is empty, 0 when both are.
    pub const PAPER_RELEASED: Self = Self::new(EmptyValue::Infinity, EmptyValue::Perfect);

    /// A policy for one and for two empty masks; disjoint centre-lines score 0.
    pub const fn new(one_empty: EmptyValue, both_empty: EmptyValue) -> Self {
        Self { one_empty, both_empty, disjoint_centrelines: EmptyValue::Infinity }
    }

    /// The same for every way of being undefined.
    pub const fn uniform(value: EmptyValue) -> Self {
        Self { one_empty: value, both_empty: value, disjoint_centrelines: value }
    }

    pub(crate) fn value(&self, cause: Emptiness) -> EmptyValue {
        match cause {
            Emptiness::Prediction | Emptiness::Reference => self.one_empty,
            Emptiness::Both => self.both_empty,
            Emptiness::DisjointCentrelines => self.disjoint_centrelines,
        }
    }

    /// What stands in for the metric; `worst` and `best` are its range, `diagonal` its worst value within the image.
    pub(crate) fn resolve(&self, metric: &'static str, cause: Emptiness, range: Range) -> Result<Score> {
        let substitute = |value| Ok(Score::Substituted { value, cause });
        match self.value(cause) {
            EmptyValue::Error => Err(MetricsError::Undefined { metric, cause }),
            EmptyValue::Nan => substitute(f64::NAN),
            EmptyValue::Infinity => substitute(range.worst),
            EmptyValue::ImageDiagonal => substitute(range.worst_in_image),
            EmptyValue::Perfect => substitute(range.best),
            EmptyValue::Skip => Ok(Score::Skipped { cause }),
        }
    }
}

impl fmt::Display for EmptyPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{},{},{}", self.one_empty, self.both_empty, self.disjoint_centrelines)
    }
}

/// Extremes of a metric, for the policy.
#[derive(Clone, Copy)]
pub(crate) struct Range {
    pub(crate) best: f64,
    pub(crate) worst: f64,
    pub(crate) worst_in_image: f64,
}

impl Range {
    /// A score between 0 (worst) and 1.
    pub(crate) const SCORE: Self = Self { best: 1.0, worst: 0.0, worst_in_image: 0.0 };

    /// A distance in an image with this diagonal.
    pub(crate) fn distance(diagonal: f64) -> Self {
        Self { best: 0.0, worst: f64::INFINITY, worst_in_image: diagonal }
    }
}
