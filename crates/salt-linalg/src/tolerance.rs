//! A decomposition that is as small as an error bound allows.

use nalgebra::DMatrix;
use serde::{Deserialize, Serialize};

use crate::error::SvdError;
use crate::exact::thin_svd;
use crate::randomized::{IDENTITY_FLOOR, RandomizedOptions, randomized_svd};
use crate::real::Real;
use crate::real::sealed::Kernel;
use crate::svd::Svd;

/// The error that [`svd_to_tolerance`] must not exceed.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(tag = "norm", content = "relative", rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Tolerance {
    /// ‖A − U diag(s) Vᵀ‖_F ≤ this × ‖A‖_F.
    Frobenius(f64),
    /// ‖A − U diag(s) Vᵀ‖₂ ≤ this × ‖A‖₂.
    Spectral(f64),
}

impl Tolerance {
    fn relative(self) -> f64 {
        match self {
            Self::Frobenius(relative) | Self::Spectral(relative) => relative,
        }
    }

    /// The relative error of a decomposition, in this norm. For the spectral norm an upper bound, relative to the computed (hence too small) ‖A‖₂.
    fn achieved<T: Real>(self, svd: &Svd<T>) -> f64 {
        match self {
            Self::Frobenius(_) => svd.error.relative_frobenius(),
            Self::Spectral(_) => {
                let norm = svd.singular_values[0].widen();
                if norm > 0.0 { svd.error.spectral_bound / norm } else { 0.0 }
            }
        }
    }
}

/// Decomposes to a tolerance: as few components as the chosen algorithm can certify.
///
/// Randomised decompositions of doubling rank are tried as long as the predicted work of all of them stays below that of the exact decomposition;
/// then the exact one is computed. Either way the components that the tolerance does not need are dropped, and the error that is
/// achieved stands in [`Svd::error`]: for the Frobenius norm `relative_frobenius() ≤ tolerance`, for the spectral norm
/// `spectral_bound ≤ tolerance × s₁`, the latter with the probability stated there. [`Svd::algorithm`] says which algorithm it was.
///
/// # Errors
/// As [`thin_svd`](crate::thin_svd), [`SvdError::InvalidOption`] unless the tolerance lies strictly between 0 and 1, and
/// [`SvdError::ToleranceTooSmall`] if rounding alone exceeds it.
///
/// ```
/// use nalgebra::DMatrix;
/// use salt_linalg::{Tolerance, svd_to_tolerance};
/// // Singular values 1, 1/2, 1/4, …
/// let weight = DMatrix::from_fn(64, 64, |i, j| if i == j { 0.5_f64.powi(i as i32) } else { 0.0 });
/// let svd = svd_to_tolerance(&weight, Tolerance::Frobenius(1e-3))?;
/// assert_eq!(svd.rank(), 10);
/// assert!(svd.error.relative_frobenius() <= 1e-3);
/// # Ok::<(), salt_linalg::SvdError>(())
/// ```
pub fn svd_to_tolerance<T: Real>(matrix: &DMatrix<T>, tolerance: Tolerance) -> Result<Svd<T>, SvdError> {
    let relative = tolerance.relative();
    // Written so that NaN is rejected.
    if !(relative > 0.0 && relative < 1.0) {
        let expected = "above 0 and below 1";
        return Err(SvdError::InvalidOption { option: "tolerance", value: relative.to_string(), expected });
    }
    if let Some(svd) = randomized_to_tolerance(matrix, tolerance)? {
        return Ok(svd);
    }
    let svd = thin_svd(matrix)?;
    let achieved = tolerance.achieved(&svd);
    if achieved > relative {
        return Err(SvdError::ToleranceTooSmall { tolerance: relative, achieved, number_type: T::NAME });
    }
    shrink(svd, tolerance)
}

/// Doubles the rank until the tolerance is met; `None` once the exact decomposition is predicted to be cheaper.
fn randomized_to_tolerance<T: Real>(matrix: &DMatrix<T>, tolerance: Tolerance) -> Result<Option<Svd<T>>, SvdError> {
    let (rows, cols) = matrix.shape();
    let limit = rows.min(cols);
    // Below this the residual is rounding noise for which a sketch's certificate is not sharp enough.
    if tolerance.relative().powi(2) < 2.0 * IDENTITY_FLOOR * <T as Kernel>::EPSILON {
        return Ok(None);
    }
    let budget = exact_cost::<T>(rows, cols);
    let mut spent = 0.0;
    let mut rank = FIRST_RANK;
    loop {
        let options = RandomizedOptions::new(rank);
        let width = rank + options.oversampling;
        spent += randomized_cost::<T>(rows, cols, width);
        if width > limit || spent > budget {
            return Ok(None);
        }
        let svd = randomized_svd(matrix, &options)?;
        if tolerance.achieved(&svd) <= tolerance.relative() {
            return shrink(svd, tolerance).map(Some);
        }
        rank *= 2;
    }
}

const FIRST_RANK: usize = 16;

/// Drops the components that a decomposition within the tolerance does not need.
fn shrink<T: Real>(svd: Svd<T>, tolerance: Tolerance) -> Result<Svd<T>, SvdError> {
    let fits = |rank: usize| {
        let mut error = svd.error.after_cut(&svd.singular_values.as_slice()[rank..]);
        let norm = match tolerance {
            Tolerance::Frobenius(_) => error.matrix_norm,
            Tolerance::Spectral(_) => {
                error.frobenius = error.spectral_bound;
                svd.singular_values[0].widen()
            }
        };
        error.frobenius <= tolerance.relative() * norm
    };
    // The error falls with the rank: bisection for the smallest that fits.
    let (mut low, mut high) = (1, svd.rank());
    while low < high {
        let middle = low + (high - low) / 2;
        if fits(middle) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    svd.truncate(high)
}

/// Predicted work of the exact decomposition in multiplications of the number type, fitted to measurements at 768 to 3072 rows and columns.
fn exact_cost<T: Real>(rows: usize, cols: usize) -> f64 {
    let (n, m) = (rows.min(cols) as f64, rows.max(cols) as f64);
    // Single precision goes through the Gram matrix, double precision through bidiagonalisation.
    if <T as Kernel>::EPSILON > 1e-10 { 3.0 * m * n * n + 8.5 * n * n * n } else { 4.0 * m * n * n + 9.0 * n * n * n }
}

/// Predicted work of a randomised decomposition with two power iterations, likewise.
fn randomized_cost<T: Real>(rows: usize, cols: usize, width: usize) -> f64 {
    let (n, m, l) = (rows.min(cols) as f64, rows.max(cols) as f64, width as f64);
    let orthonormalise = if <T as Kernel>::EPSILON > 1e-10 { 4.0 } else { 8.0 };
    6.0 * m * n * l + orthonormalise * (m + 3.0 * n) * l * l + 8.0 * l * l * l
}
