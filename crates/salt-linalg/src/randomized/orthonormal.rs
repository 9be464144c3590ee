//! Orthonormal bases of the column space of a tall matrix.

use faer::Side;
use faer::linalg::solvers::{Llt, Qr};
use nalgebra::DMatrix;

use crate::product::{Schedule, convert, gram, product, product_into, sum_of_squares, view, view_mut, zeros};
use crate::real::Real;
use crate::real::sealed::Kernel;

/// An orthonormal basis and how badly conditioned the block was.
pub(super) struct Basis<T: Real> {
    pub(super) q: DMatrix<T>,
    /// Estimate of the condition number of the block; infinite if its columns are numerically dependent.
    pub(super) condition: f64,
}

/// Above this condition number Cholesky's way is not taken: the triangular factor would carry too much of the rounding into the basis.
const CHOLESKY_LIMIT: f64 = 1e4;

/// A matrix with orthonormal columns whose span contains the span of `block`.
///
/// Single-precision blocks go through the Cholesky factor of their Gram matrix in double precision (twice, so that the basis is
/// orthonormal to working precision), which is matrix products throughout. Badly conditioned and double-precision blocks take Householder reflections.
pub(super) fn orthonormalise<T: Real>(block: &DMatrix<T>, schedule: Schedule) -> Basis<T> {
    if <T as Kernel>::EPSILON > 1e-10
        && let Some((q, condition)) = cholesky(block, schedule)
    {
        if condition < 10.0 {
            return Basis { q, condition };
        }
        if let Some((q, _)) = cholesky(&q, schedule) {
            return Basis { q, condition };
        }
    }
    householder(block)
}

/// The basis B R⁻¹ with R the Cholesky factor of BᵀB, or nothing if B is too badly conditioned.
fn cholesky<T: Real>(block: &DMatrix<T>, schedule: Schedule) -> Option<(DMatrix<T>, f64)> {
    let double: DMatrix<f64> = convert(block);
    let factor = Llt::new(view(&gram(view(&double), schedule)), Side::Lower).ok()?;
    let lower = factor.L();
    let diagonal = (0..block.ncols()).map(|i| lower[(i, i)].abs());
    let (smallest, largest) = diagonal.fold((f64::MAX, 0.0f64), |(low, high), d| (low.min(d), high.max(d)));
    let condition = largest / smallest;
    // Written so that NaN is rejected.
    if !(condition < CHOLESKY_LIMIT) {
        return None;
    }
    let mut inverse: DMatrix<f64> = DMatrix::identity(block.ncols(), block.ncols());
    faer::linalg::triangular_solve::solve_upper_triangular_in_place(
        lower.transpose(),
        view_mut(&mut inverse),
        faer::Par::Seq,
    );
    let inverse: DMatrix<T> = convert(&inverse);
    Some((product(schedule, view(block), view(&inverse)), condition))
}

fn householder<T: Real>(block: &DMatrix<T>) -> Basis<T> {
    let double: DMatrix<f64> = convert(block);
    let qr = Qr::new(view(&double));
    let thin = qr.compute_thin_Q();
    let mut q: DMatrix<T> = zeros(block.nrows(), block.ncols());
    for (j, mut column) in q.column_iter_mut().enumerate() {
        for (i, value) in column.iter_mut().enumerate() {
            *value = T::narrow(thin[(i, j)]);
        }
    }
    let r = qr.thin_R();
    let diagonal = (0..block.ncols()).map(|i| r[(i, i)].abs());
    let (smallest, largest) = diagonal.fold((f64::MAX, 0.0f64), |(low, high), d| (low.min(d), high.max(d)));
    Basis { q, condition: if smallest > 0.0 { largest / smallest } else { f64::INFINITY } }
}

/// Orthonormal columns that together with the first `filled` columns of `basis` (orthonormal already) span the columns of `block` too.
pub(super) fn extend<T: Real>(basis: &DMatrix<T>, filled: usize, block: &DMatrix<T>, schedule: Schedule) -> DMatrix<T> {
    let mut next = orthonormalise(block, schedule).q;
    if filled == 0 {
        return next;
    }
    let earlier = view(basis).subcols(0, filled);
    let minus_one = T::narrow(-1.0);
    // The first pass leaves what rounding put back; the second removes it.
    for _ in 0..2 {
        let overlap = product(schedule, earlier.transpose(), view(&next));
        product_into(schedule, view_mut(&mut next), true, earlier, view(&overlap), minus_one);
        next = orthonormalise(&next, schedule).q;
    }
    let overlap = sum_of_squares(product(schedule, earlier.transpose(), view(&next)).as_slice()).sqrt();
    let limit = 64.0 * <T as Kernel>::EPSILON * (next.ncols() as f64).sqrt();
    if overlap <= limit {
        return next;
    }
    // The block has (nearly) nothing new to offer. Reflections fill up with whatever is orthogonal to the rest.
    let mut both: DMatrix<T> = zeros(basis.nrows(), filled + block.ncols());
    both.columns_mut(0, filled).copy_from(&basis.columns(0, filled));
    both.columns_mut(filled, block.ncols()).copy_from(&next);
    householder(&both).q.columns(filled, block.ncols()).into_owned()
}
