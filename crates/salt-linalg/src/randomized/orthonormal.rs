//! Orthonormal bases of the column space of a tall matrix.

use faer::Mat;
use nalgebra::DMatrix;

use crate::product::{Schedule, convert, view, zeros};
use crate::real::Real;

/// A matrix with orthonormal columns that span (at least) the columns of `block`, by Householder reflections in double precision.
pub(super) fn orthonormalise<T: Real>(block: DMatrix<T>, _schedule: Schedule) -> DMatrix<T> {
    let wide: DMatrix<f64> = convert(&block);
    let qr = faer::linalg::solvers::Qr::new(view(&wide));
    let q: Mat<f64> = qr.compute_thin_Q();
    let mut out: DMatrix<T> = zeros(block.nrows(), block.ncols());
    for col in 0..out.ncols() {
        for row in 0..out.nrows() {
            out[(row, col)] = T::narrow(q[(row, col)]);
        }
    }
    out
}
