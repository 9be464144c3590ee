//! Full decompositions: a ladder of algorithms, each result checked before it is believed.

mod factors;
mod gram;
mod jacobi;
mod ladder;
mod steps;

use nalgebra::{DMatrix, DVector};

use self::factors::Factors;
pub(crate) use self::gram::eigen as symmetric_eigen;

use crate::algorithm::Algorithm;
use crate::certificate::{self, ErrorEstimate};
use crate::error::{StepFailure, SvdError};
use crate::input::{self, Input};
use crate::product::{
    Schedule, convert, convert_scaled, convert_transposed, convert_transposed_scaled, sum_of_squares, zeros,
};
use crate::real::Real;
use crate::real::sealed::Kernel;
use crate::sign;
use crate::svd::Svd;

/// Seed of the certificate's probes; the factors themselves involve no random numbers.
const CERTIFICATE_SEED: u64 = 0x5a17;
/// Accepted relative residual and orthogonality defect, in units of ε √max(m, n). Correct factors measure 0.1 to 1.
const ACCEPTED: f64 = 8.0;

/// The thin singular value decomposition: all k = min(m, n) components.
///
/// Single-precision input is decomposed in double precision and rounded once, at the end. That leaves a relative residual near 1e-7,
/// where a decomposition carried out in single precision leaves about 4e-6. The bits of the result do not depend on the number of threads.
///
/// # Errors
/// [`SvdError::Empty`], [`SvdError::NotFinite`], [`SvdError::Overflow`], or [`SvdError::NoConvergence`] if every algorithm failed.
///
/// ```
/// use nalgebra::DMatrix;
/// let weight = DMatrix::from_row_slice(2, 3, &[3.0_f32, 0.0, 0.0, 0.0, -2.0, 0.0]);
/// let svd = salt_linalg::thin_svd(&weight)?;
/// assert_eq!(svd.singular_values.as_slice(), [3.0, 2.0]);
/// assert!(svd.error.relative_frobenius() < 1e-6);
/// # Ok::<(), salt_linalg::SvdError>(())
/// ```
pub fn thin_svd<T: Real>(matrix: &DMatrix<T>) -> Result<Svd<T>, SvdError> {
    thin_with(matrix, Schedule::Parallel)
}

/// The leading `rank` components of the thin decomposition, exactly as [`thin_svd`] computes them (the same bits).
///
/// By Eckart and Young this is the best approximation of that rank. It costs as much as the thin decomposition, whose truncation
/// it is; [`randomized_svd`](crate::randomized_svd) is the fast approximate alternative.
///
/// # Errors
/// As [`thin_svd`], and [`SvdError::RankOutOfRange`] unless 1 ≤ `rank` ≤ min(m, n).
pub fn truncated_svd<T: Real>(matrix: &DMatrix<T>, rank: usize) -> Result<Svd<T>, SvdError> {
    truncated_with(matrix, rank, Schedule::Parallel)
}

pub(crate) fn truncated_with<T: Real>(
    matrix: &DMatrix<T>,
    rank: usize,
    schedule: Schedule,
) -> Result<Svd<T>, SvdError> {
    let (rows, cols) = matrix.shape();
    if rows > 0 && cols > 0 {
        input::check_rank(rank, rows.min(cols), rows, cols)?;
    }
    thin_with(matrix, schedule)?.truncate(rank)
}

pub(crate) fn thin_with<T: Real>(matrix: &DMatrix<T>, schedule: Schedule) -> Result<Svd<T>, SvdError> {
    let input = Input::new(matrix, schedule)?;
    let (rows, cols) = input.shape();
    if input.is_zero {
        return Ok(zero(rows, cols));
    }
    let tall: DMatrix<f64> = if rows >= cols {
        convert_scaled(input.matrix.as_ref(), input.unit)
    } else {
        convert_transposed_scaled(input.matrix.as_ref(), input.unit)
    };
    let steps = steps::ladder(T::EPSILON > 1e-10);
    let climbed = ladder::climb(&steps, &tall, schedule, |factors| finish(&input, factors, schedule));
    let (accepted, algorithm) = climbed.map_err(|attempts| SvdError::NoConvergence { rows, cols, attempts })?;
    let values: Result<Vec<T>, SvdError> = accepted.values.iter().map(|value| input.unscaled(value.widen())).collect();
    Ok(Svd {
        u: accepted.u,
        singular_values: DVector::from_vec(values?),
        v_t: accepted.v_t,
        error: accepted.error.unscaled(input.unscale),
        algorithm,
    })
}

/// Factors in the number type of the input, signs fixed, still scaled.
struct Accepted<T: Real> {
    u: DMatrix<T>,
    values: Vec<T>,
    v_t: DMatrix<T>,
    error: ErrorEstimate,
}

/// Rounds the factors to the caller's number type and accepts them only if they pass the certificate.
fn finish<T: Real>(input: &Input<'_, T>, factors: &Factors, schedule: Schedule) -> Result<Accepted<T>, StepFailure> {
    let (rows, cols) = input.shape();
    let finite = |matrix: &DMatrix<f64>| sum_of_squares(matrix.as_slice()).is_finite();
    if !finite(&factors.left) || !finite(&factors.right) || factors.values.iter().any(|value| !value.is_finite()) {
        return Err(StepFailure::NotFinite);
    }
    let (mut u, mut v_t): (DMatrix<T>, DMatrix<T>) = if rows >= cols {
        (convert(&factors.left), convert_transposed(&factors.right))
    } else {
        (convert(&factors.right), convert_transposed(&factors.left))
    };
    sign::apply(&mut u, &mut v_t);
    let values: Vec<T> = factors.values.iter().map(|&value| T::narrow(value / input.unit)).collect();
    let error = certificate::measure(input, &u, &values, &v_t, CERTIFICATE_SEED, 0, schedule);
    let limit = ACCEPTED * <T as Kernel>::EPSILON * (rows.max(cols) as f64).sqrt();
    for (quantity, found) in [
        ("the relative residual", error.relative_frobenius()),
        ("the orthogonality defect of U", error.left_defect),
        ("the orthogonality defect of V", error.right_defect),
    ] {
        // Written so that NaN is rejected.
        if !(found <= limit) {
            return Err(StepFailure::Inaccurate { quantity, found, limit });
        }
    }
    Ok(Accepted { u, values, v_t, error })
}

/// The zero matrix has no preferred basis; the unit vectors satisfy the sign rule.
fn zero<T: Real>(rows: usize, cols: usize) -> Svd<T> {
    let rank = rows.min(cols);
    let identity = |rows: usize, cols: usize| {
        let mut out: DMatrix<T> = zeros(rows, cols);
        out.fill_diagonal(T::narrow(1.0));
        out
    };
    Svd {
        u: identity(rows, rank),
        singular_values: DVector::from_element(rank, T::narrow(0.0)),
        v_t: identity(rank, cols),
        error: ErrorEstimate::exact(0.0),
        algorithm: Algorithm::Zero,
    }
}
