//! Randomised decompositions: subspace iteration and block Krylov iteration.

mod orthonormal;
mod range;

use nalgebra::{DMatrix, DVector};
use serde::{Deserialize, Serialize};

use crate::certificate;
use crate::error::{StepFailure, SvdError};
use crate::input::{self, Input};
use crate::product::{Schedule, product, view};
use crate::real::Real;
use crate::sign;
use crate::svd::{Algorithm, Svd};

/// What to compute and how hard to try.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct RandomizedOptions {
    /// Number of components, between 1 and min(m, n).
    pub rank: usize,
    /// Extra columns of the sketch, 10 by default; `rank + oversampling` may not exceed min(m, n).
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
    /// Subspace iteration with re-orthonormalisation after every product (Halko, Martinsson and Tropp 2011, algorithm 4.4).
    Power {
        /// Number of times that A Aᵀ is applied.
        iterations: usize,
    },
    /// Block Krylov iteration, which keeps all the blocks on the way instead of the last one (Musco and Musco 2015, algorithm 2).
    BlockKrylov {
        /// Number of times that A Aᵀ is applied; the basis has (iterations + 1) blocks.
        iterations: usize,
    },
}

impl Default for Iteration {
    fn default() -> Self {
        Self::Power { iterations: 2 }
    }
}

/// More applications of A Aᵀ than this are refused as a mistake: the error shrinks geometrically and is at its floor long before.
const MAX_ITERATIONS: usize = 100;

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

    fn check(&self, rows: usize, cols: usize) -> Result<(), SvdError> {
        let limit = rows.min(cols);
        input::check_rank(self.rank, limit, rows, cols)?;
        if self.rank.checked_add(self.oversampling).is_none_or(|width| width > limit) {
            let (rank, oversampling) = (self.rank, self.oversampling);
            return Err(SvdError::OversamplingTooLarge { rank, oversampling, limit, rows, cols });
        }
        let (Iteration::Power { iterations } | Iteration::BlockKrylov { iterations }) = self.iteration;
        if iterations > MAX_ITERATIONS {
            let expected = "at most 100";
            return Err(SvdError::InvalidOption { option: "iterations", value: iterations.to_string(), expected });
        }
        Ok(())
    }
}

/// The leading components by a randomised algorithm.
///
/// # Errors
/// [`SvdError::Empty`], [`SvdError::NotFinite`], [`SvdError::RankOutOfRange`], [`SvdError::OversamplingTooLarge`],
/// [`SvdError::InvalidOption`], [`SvdError::Overflow`] or [`SvdError::NoConvergence`].
pub fn randomized_svd<T: Real>(matrix: &DMatrix<T>, options: &RandomizedOptions) -> Result<Svd<T>, SvdError> {
    randomized_with(matrix, options, Schedule::Parallel)
}

pub(crate) fn randomized_with<T: Real>(
    matrix: &DMatrix<T>,
    options: &RandomizedOptions,
    schedule: Schedule,
) -> Result<Svd<T>, SvdError> {
    let (rows, cols) = matrix.shape();
    if rows > 0 && cols > 0 {
        options.check(rows, cols)?;
    }
    let input = Input::new(matrix)?;
    if input.is_zero {
        return crate::exact::truncated_with(matrix, options.rank, schedule);
    }
    let algorithm = match options.iteration {
        Iteration::Power { .. } => Algorithm::RandomizedPower,
        Iteration::BlockKrylov { .. } => Algorithm::RandomizedKrylov,
    };
    let failed = |failure: StepFailure| SvdError::NoConvergence {
        rows,
        cols,
        attempts: vec![crate::Attempt { algorithm, failure }],
    };
    let q = range::find(&input, options, schedule);
    // A ≈ Q Qᵀ A, and the small factor is decomposed exactly: (Qᵀ A)ᵀ = V diag(s) Wᵀ.
    let projected: DMatrix<T> = product(schedule, view(&input.matrix).transpose(), view(&q));
    let small = crate::exact::thin_with(&projected, schedule)?.truncate(options.rank)?;
    let mut u: DMatrix<T> = product(schedule, view(&q), view(&small.v_t).transpose());
    let mut v_t: DMatrix<T> = crate::product::convert_transposed(&small.u);
    sign::apply(&mut u, &mut v_t);
    let values = small.singular_values.as_slice();
    let error = certificate::measure(input.matrix.as_ref(), &u, values, &v_t, options.seed, 1, schedule)
        .unscaled(input.unscale);
    if !error.spectral_bound.is_finite() {
        return Err(failed(StepFailure::NotFinite));
    }
    let values: Result<Vec<T>, SvdError> = values.iter().map(|value| input.unscaled(value.widen())).collect();
    Ok(Svd { u, singular_values: DVector::from_vec(values?), v_t, error, algorithm })
}
