//! The result type.

use nalgebra::{DMatrix, DVector};

use crate::algorithm::Algorithm;
use crate::certificate::ErrorEstimate;
use crate::cut::CutQuality;
use crate::error::SvdError;
use crate::input;
use crate::product::{Schedule, product, view};
use crate::rank::RankError;
use crate::real::Real;

/// A singular value decomposition A ≈ U diag(s) Vᵀ of an m x n matrix, with k ≤ min(m, n) components.
///
/// The columns of U and the rows of Vᵀ are orthonormal; the singular values are non-negative and descend.
/// In each column of U the entry of largest magnitude is positive; the first such entry decides where several tie.
/// That rule removes the freedom of sign, so that what was trained in one basis can be used in a basis computed elsewhere.
#[derive(Debug, Clone, PartialEq)]
pub struct Svd<T: Real> {
    /// Left singular vectors, m x k, one per column.
    pub u: DMatrix<T>,
    /// Singular values, k of them, descending.
    pub singular_values: DVector<T>,
    /// Right singular vectors, k x n, one per row.
    pub v_t: DMatrix<T>,
    /// How far the product of the factors is from the matrix, measured after the fact.
    pub error: ErrorEstimate,
    /// What computed the factors.
    pub algorithm: Algorithm,
}

impl<T: Real> Svd<T> {
    /// Number of components k.
    pub fn rank(&self) -> usize {
        self.singular_values.len()
    }

    /// Rows m and columns n of the matrix that was decomposed.
    pub fn shape(&self) -> (usize, usize) {
        (self.u.nrows(), self.v_t.ncols())
    }

    /// The product U diag(s) Vᵀ, m x n.
    pub fn reconstruct(&self) -> DMatrix<T> {
        let mut scaled = self.u.clone();
        for (mut column, &sigma) in scaled.column_iter_mut().zip(self.singular_values.iter()) {
            column *= sigma;
        }
        product(Schedule::Parallel, view(&scaled), view(&self.v_t))
    }

    /// The leading `rank` components: by Eckart and Young (1936) the best approximation of that rank, if this decomposition is exact.
    ///
    /// The error estimate grows by what is cut off: the spectral norm by s_(rank + 1), the Frobenius norm by the root of the sum of squares.
    ///
    /// # Errors
    /// [`SvdError::RankOutOfRange`] if `rank` is 0 or above k.
    pub fn truncate(mut self, rank: usize) -> Result<Self, SvdError> {
        let (rows, cols) = self.shape();
        input::check_rank(rank, self.rank(), rows, cols)?;
        if rank < self.rank() {
            self.error = self.error.after_cut(&self.singular_values.as_slice()[rank..]);
            self.u = self.u.columns(0, rank).into_owned();
            self.v_t = self.v_t.rows(0, rank).into_owned();
            self.singular_values = self.singular_values.rows(0, rank).into_owned();
        }
        Ok(self)
    }

    /// What a cut after `rank` components would mean; see [`CutQuality`].
    ///
    /// # Errors
    /// [`RankError::OutOfRange`] if `rank` is 0 or above k.
    pub fn cut_quality(&self, rank: usize) -> Result<CutQuality, RankError> {
        CutQuality::at(self.singular_values.as_slice(), rank)
    }
}
