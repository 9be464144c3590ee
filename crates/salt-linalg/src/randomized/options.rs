//! What a randomised decomposition is asked for.

use serde::{Deserialize, Serialize};

use crate::error::SvdError;
use crate::input;

/// More applications of A Aᵀ than this are refused as a mistake: the error shrinks geometrically and is at its floor long before.
const MAX_ITERATIONS: usize = 100;

/// What to compute and how hard to try.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct RandomizedOptions {
    /// Number of components, between 1 and min(m, n).
    pub rank: usize,
    /// Extra columns of the sketch, 10 by default; `rank + oversampling` may not exceed min(m, n). Power iterations on sketches of 64 columns or more
    /// round the sum up to a multiple of 16 (at most min(m, n)), which costs no time.
    #[serde(default = "default_oversampling")]
    pub oversampling: usize,
    /// How the sketch is improved; two power iterations by default.
    #[serde(default)]
    pub iteration: Iteration,
    /// Seed of the random sketch, 0 by default. The same seed gives the same bits, whatever the number of threads.
    #[serde(default)]
    pub seed: u64,
}

/// How the sketch is improved before it is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "method", rename_all = "kebab-case", deny_unknown_fields)]
#[non_exhaustive]
pub enum Iteration {
    /// Subspace iteration with re-orthonormalisation (Halko, Martinsson and Tropp 2011, algorithm 4.4), applied to whichever of A and Aᵀ is tall.
    Power {
        /// Number of times that AᵀA is applied to the sketch AᵀΩ.
        iterations: usize,
    },
    /// Block Krylov iteration, which keeps all the blocks on the way instead of the last one (Musco and Musco 2015, algorithm 2).
    BlockKrylov {
        /// Number of times that AᵀA is applied; the basis has (iterations + 1) blocks, or min(m, n) columns if that is fewer.
        iterations: usize,
        /// Columns of a block; `rank + oversampling` if absent. Blocks narrower than the rank take fewer products for the same error
        /// (Chen, Epperly, Meyer, Musco and Rao 2025), as long as all blocks together have `rank + oversampling` columns.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        block: Option<usize>,
    },
}

impl Default for Iteration {
    fn default() -> Self {
        Self::Power { iterations: 2 }
    }
}

fn default_oversampling() -> usize {
    10
}

impl RandomizedOptions {
    /// `rank` components with oversampling 10, two power iterations and seed 0.
    pub fn new(rank: usize) -> Self {
        Self { rank, oversampling: default_oversampling(), iteration: Iteration::default(), seed: 0 }
    }

    /// Changes the oversampling.
    pub fn with_oversampling(mut self, oversampling: usize) -> Self {
        self.oversampling = oversampling;
        self
    }

    /// Changes the iteration.
    pub fn with_iteration(mut self, iteration: Iteration) -> Self {
        self.iteration = iteration;
        self
    }

    /// Changes the seed.
    pub fn with_seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    pub(super) fn check(&self, rows: usize, cols: usize) -> Result<(), SvdError> {
        let limit = rows.min(cols);
        input::check_rank(self.rank, limit, rows, cols)?;
        if self.rank.checked_add(self.oversampling).is_none_or(|width| width > limit) {
            let (rank, oversampling) = (self.rank, self.oversampling);
            return Err(SvdError::OversamplingTooLarge { rank, oversampling, limit, rows, cols });
        }
        let iterations = match self.iteration {
            Iteration::Power { iterations } => iterations,
            Iteration::BlockKrylov { iterations, block } => {
                let columns = block.unwrap_or(self.rank).saturating_mul(iterations.saturating_add(1));
                if block.is_some_and(|block| block == 0 || block > limit || columns < self.rank + self.oversampling) {
                    return Err(SvdError::InvalidOption {
                        option: "block",
                        value: format!("{} with {iterations} iterations", block.unwrap_or_default()),
                        expected: "between 1 and min(m, n), and all blocks together at least rank + oversampling",
                    });
                }
                iterations
            }
        };
        if iterations > MAX_ITERATIONS {
            let expected = "at most 100";
            return Err(SvdError::InvalidOption { option: "iterations", value: iterations.to_string(), expected });
        }
        Ok(())
    }
}
