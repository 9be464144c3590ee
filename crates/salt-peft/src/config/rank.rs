//! How many singular directions are trained.

use crate::error::PeftError;
use salt_linalg::RankRule;
use serde::{Deserialize, Serialize};

/// How many directions: a number, or a rule of `salt-linalg` on the size or the spectrum of each weight.
///
/// In a file: `svd-rank = 200`, or `svd-rank = { rule = "fraction", share = 0.1 }`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
#[non_exhaustive]
pub enum Rank {
    /// This many; 0 is allowed and leaves the singular values alone.
    Fixed(usize),
    /// A rule.
    Rule(RankRule),
}

impl Rank {
    /// This share of `min(out, in)`, rounded down, at least 1.
    pub fn fraction(share: f64) -> Self {
        Self::Rule(RankRule::Fraction { share })
    }

    /// The smallest rank that keeps this share of the squared Frobenius norm.
    pub fn energy(share: f64) -> Self {
        Self::Rule(RankRule::Energy { share })
    }

    /// The rank for `k` possible directions, where it does not depend on the values of the weight.
    pub(crate) fn without_values(&self, k: usize) -> Option<usize> {
        match self {
            Self::Fixed(rank) | Self::Rule(RankRule::Fixed { rank }) => Some(*rank),
            Self::Rule(RankRule::Fraction { share }) => Some(((share * k as f64) as usize).clamp(1, k)),
            Self::Rule(_) => None,
        }
    }

    pub(super) fn validate(&self, field: &str) -> Result<(), PeftError> {
        match self {
            Self::Rule(RankRule::Fraction { share } | RankRule::Energy { share })
                if !(*share > 0.0 && *share <= 1.0) =>
            {
                Err(PeftError::config(format!("{field}.share"), format!("expected a number in (0, 1], found {share}")))
            }
            _ => Ok(()),
        }
    }
}
