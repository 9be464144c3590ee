//! How well separated the kept components are from the dropped ones.

use serde::{Deserialize, Serialize};

use crate::rank::{self, RankError};
use crate::real::Real;

/// The quality of a cut after `rank` singular values.
///
/// An adapter that was trained on the leading r components means something only in *their* subspace. If s_r and s_(r + 1) nearly
/// coincide, a tiny change of the weight (another rounding, a merged adapter) turns that subspace by a large angle.
/// [`wedin_bound`](Self::wedin_bound) says how far it can turn.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct CutQuality {
    /// Number of components kept.
    pub rank: usize,
    /// The smallest singular value kept, s_r.
    pub sigma_rank: f64,
    /// The largest singular value dropped, s_(r + 1); 0 if nothing is dropped.
    pub sigma_next: f64,
    /// (s_r − s_(r + 1)) / s_r, between 0 (no gap) and 1; 0 if s_r is 0.
    pub relative_gap: f64,
}

impl CutQuality {
    /// The cut after `rank` of the given singular values. They must be all min(m, n) of them, or at least `rank` + 1:
    /// what is not listed counts as zero.
    ///
    /// # Errors
    /// [`RankError`] if `rank` is 0 or above the number of values, or the values are not a descending list of non-negative finite numbers.
    pub fn at<T: Real>(singular_values: &[T], rank: usize) -> Result<Self, RankError> {
        rank::check_spectrum(singular_values)?;
        if rank == 0 || rank > singular_values.len() {
            return Err(RankError::OutOfRange { rank, limit: singular_values.len() });
        }
        let sigma_rank = singular_values[rank - 1].widen();
        let sigma_next = singular_values.get(rank).map_or(0.0, |sigma| sigma.widen());
        let relative_gap = if sigma_rank > 0.0 { (sigma_rank - sigma_next) / sigma_rank } else { 0.0 };
        Ok(Self { rank, sigma_rank, sigma_next, relative_gap })
    }

    /// The absolute gap s_r − s_(r + 1).
    pub fn gap(&self) -> f64 {
        self.sigma_rank - self.sigma_next
    }

    /// Bound on the sine of the largest angle by which the leading left and right subspaces turn when the weight changes by a
    /// matrix of spectral norm `perturbation`. 1 means that nothing is known.
    ///
    /// Wedin (1972), with Weyl's inequality for the perturbed spectrum: sin θ ≤ ‖E‖₂ / (s_r − s_(r + 1) − ‖E‖₂).
    pub fn wedin_bound(&self, perturbation: f64) -> f64 {
        let perturbation = perturbation.abs();
        if perturbation == 0.0 && self.gap() > 0.0 {
            return 0.0;
        }
        let separation = self.gap() - perturbation;
        // Written so that NaN gives 1.
        if separation > 0.0 { (perturbation / separation).min(1.0) } else { 1.0 }
    }
}
