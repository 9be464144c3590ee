//! Randomised decompositions: subspace iteration and block Krylov iteration.

mod orthonormal;
mod range;
mod small;

use nalgebra::{DMatrix, DVector};
use serde::{Deserialize, Serialize};

use self::range::Range;
use crate::certificate::{self, ErrorEstimate};
use crate::error::{Attempt, StepFailure, SvdError};
use crate::input::{self, Input};
use crate::product::{Schedule, product, sum_of_squares, view};
use crate::real::Real;
use crate::real::sealed::Kernel;
use crate::sign;
use crate::svd::{Algorithm, Svd};

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

/// Share of ‖A‖_F², in rounding units, below which ‖A‖_F² − Σ s² is mostly rounding.
pub(crate) const IDENTITY_FLOOR: f64 = 4096.0;
/// A defect from orthonormality at which something has gone wrong beyond rounding.
const LOST: f64 = 1e-2;
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

/// The leading `rank` components by a randomised algorithm.
///
/// A Gaussian sketch of `rank + oversampling` columns finds a subspace that holds most of the matrix, the iteration sharpens it, and the matrix is
/// decomposed exactly within it: A ≈ A Z Zᵀ with an orthonormal basis Z. The singular values never exceed the true ones.
/// [`Svd::error`] bounds the spectral error; its Frobenius error is exact (not an estimate) unless it is tiny. Some guidance:
///
/// * Two power iterations (the default) suffice for weights whose spectrum falls by a decade over the kept components.
/// * For flat spectra [`Iteration::BlockKrylov`] reaches the same error with fewer products; blocks of half the rank are a good choice.
/// * For a rank above a third of min(m, n) [`thin_svd`](crate::thin_svd) is about as fast, and exact.
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
    let input = Input::new(matrix, schedule)?;
    if input.is_zero {
        return crate::exact::truncated_with(matrix, options.rank, schedule);
    }
    let algorithm = match options.iteration {
        Iteration::Power { .. } => Algorithm::RandomizedPower,
        Iteration::BlockKrylov { .. } => Algorithm::RandomizedKrylov,
    };
    let matrix = view(input.matrix.as_ref());
    let tall = if rows >= cols { matrix } else { matrix.transpose() };
    let Range { basis, image } = range::find(tall, options, schedule);
    // A ≈ A Zᵀ Z with the basis Z, and the image A Zᵀ = U diag(s) W is decomposed exactly, so that Vᵀ = W Z.
    let small = small::leading(image, options.rank, schedule)?;
    let values = small.values.clone();
    let (mut u, mut v_t): (DMatrix<T>, DMatrix<T>) = if rows >= cols {
        let v_t = product(schedule, view(&small.right), view(&basis));
        (small.left(schedule), v_t)
    } else {
        let u = product(schedule, view(&basis).transpose(), view(&small.right).transpose());
        (u, small.left_rows(schedule))
    };
    sign::apply(&mut u, &mut v_t);
    let error = estimate(&input, &u, &values, &v_t, options.seed, schedule);
    if !(error.spectral_bound.is_finite() && error.left_defect < LOST && error.right_defect < LOST) {
        let failure = StepFailure::Inaccurate {
            quantity: "the orthogonality defect",
            found: error.left_defect.max(error.right_defect),
            limit: LOST,
        };
        return Err(SvdError::NoConvergence { rows, cols, attempts: vec![Attempt { algorithm, failure }] });
    }
    let values: Result<Vec<T>, SvdError> = values.iter().map(|value| input.unscaled(value.widen())).collect();
    Ok(Svd { u, singular_values: DVector::from_vec(values?), v_t, error: error.unscaled(input.unscale), algorithm })
}

/// The certificate, with the Frobenius norm computed instead of estimated where that is possible: U diag(s) = A V and V is orthonormal, so
/// ‖A − U diag(s) Vᵀ‖_F² = ‖A‖_F² − Σ s². The difference loses its digits once it is a few thousand rounding units of ‖A‖_F²;
/// there the probes' estimate stands.
fn estimate<T: Real>(
    input: &Input<'_, T>,
    u: &DMatrix<T>,
    values: &[T],
    v_t: &DMatrix<T>,
    seed: u64,
    schedule: Schedule,
) -> ErrorEstimate {
    let mut error = certificate::measure(input, u, values, v_t, seed, 1, schedule);
    let total = error.matrix_norm * error.matrix_norm;
    let left = total - sum_of_squares(values);
    if left > IDENTITY_FLOOR * <T as Kernel>::EPSILON * total {
        error.frobenius = left.sqrt();
    }
    error
}
