//! Randomised decompositions: subspace iteration and block Krylov iteration.

mod options;
mod orthonormal;
mod range;
mod small;

use nalgebra::{DMatrix, DVector};

pub use self::options::{Iteration, RandomizedOptions};

use self::range::Range;
use crate::algorithm::Algorithm;
use crate::certificate::{self, ErrorEstimate};
use crate::error::{Attempt, StepFailure, SvdError};
use crate::input::Input;
use crate::product::{Schedule, product, sum_of_squares, view};
use crate::real::Real;
use crate::real::sealed::Kernel;
use crate::sign;
use crate::svd::Svd;

/// Share of ‖A‖_F², in rounding units, below which ‖A‖_F² − Σ s² is mostly rounding.
pub(crate) const IDENTITY_FLOOR: f64 = 4096.0;
/// A defect from orthonormality at which something has gone wrong beyond rounding.
const LOST: f64 = 1e-2;
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
