//! A decomposition that is as small as an error bound allows.

use nalgebra::DMatrix;
use serde::{Deserialize, Serialize};

use crate::error::SvdError;
use crate::exact::thin_svd;
use crate::real::Real;
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

/// The fewest components that meet the tolerance.
///
/// # Errors
/// As [`thin_svd`], and [`SvdError::InvalidOption`] unless the tolerance lies between 0 (exclusive) and 1.
pub fn svd_to_tolerance<T: Real>(matrix: &DMatrix<T>, tolerance: Tolerance) -> Result<Svd<T>, SvdError> {
    let (Tolerance::Frobenius(relative) | Tolerance::Spectral(relative)) = tolerance;
    if !(relative > 0.0 && relative < 1.0) {
        let expected = "above 0 and below 1";
        return Err(SvdError::InvalidOption { option: "tolerance", value: relative.to_string(), expected });
    }
    let svd = thin_svd(matrix)?;
    let values: Vec<f64> = svd.singular_values.iter().map(|sigma| sigma.widen()).collect();
    let rank = match tolerance {
        Tolerance::Spectral(_) => values.iter().take_while(|&&sigma| sigma > relative * values[0]).count(),
        Tolerance::Frobenius(_) => {
            let mut tail: f64 = 0.0;
            let allowed = (relative * svd.error.matrix_norm).powi(2);
            let dropped = values
                .iter()
                .rev()
                .take_while(|&&sigma| {
                    tail += sigma * sigma;
                    tail <= allowed
                })
                .count();
            values.len() - dropped
        }
    };
    svd.truncate(rank.max(1))
}
