//! How the singular vectors of a weight are computed.

use salt_linalg::{Iteration, RandomizedOptions};
use serde::{Deserialize, Serialize};

/// How the singular vectors of a weight are computed.
///
/// In a file: `decomposition = "exact"`, or `decomposition = { randomized = { oversampling = 10 } }`, where every key of the inner
/// table may be left out.
///
/// The forms `paper`, `diag` and `linear` of SALT and SVD tuning are written in *all* singular vectors of a weight, so only an exact
/// decomposition will do. SALT's form `projector` needs the leading ones alone, and so does any form without an update
/// (`lora-rank = 0`): there a randomised decomposition gives nearly the same basis in a fraction of the time. Its rank must be
/// known beforehand: a number or a fraction, not a rule on the spectrum.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Decomposition {
    /// The singular vectors to the last bit of single precision.
    #[default]
    Exact,
    /// A sketch of the leading ones. Where the sketch would be as wide as the weight, the exact decomposition is taken in its place.
    Randomized(Sketch),
}

/// The settings of a randomised decomposition; see [`salt_linalg::RandomizedOptions`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Sketch {
    /// Columns of the sketch beyond the rank; 10 by default.
    pub oversampling: usize,
    /// How the sketch is sharpened; two power iterations by default.
    pub iteration: Iteration,
    /// Seed of the sketch; 0 by default. It is not the seed of the run, so that every run adapts the weight in the same basis.
    pub seed: u64,
}

impl Default for Sketch {
    fn default() -> Self {
        Self { oversampling: 10, iteration: Iteration::default(), seed: 0 }
    }
}

impl Sketch {
    /// The options for `rank` components of a matrix with `k` singular values; none where the sketch would be as wide as the matrix.
    pub(crate) fn options(&self, rank: usize, k: usize) -> Option<RandomizedOptions> {
        let width = rank.checked_add(self.oversampling)?;
        (rank > 0 && width < k).then(|| {
            RandomizedOptions::new(rank)
                .with_oversampling(self.oversampling)
                .with_iteration(self.iteration)
                .with_seed(self.seed)
        })
    }
}
