//! Orthonormal bases of the row space of a wide matrix.
//!
//! Sketches are stored as rows: the kernels of a product are fastest when the narrow factor stands on the left, and so the large matrix is never repacked.

use faer::linalg::solvers::{Llt, Qr};
use faer::{MatRef, Par, Side};
use nalgebra::DMatrix;

use crate::product::{
    Schedule, convert, convert_transposed, gram_of_rows, product, product_into, sum_of_squares, view, view_mut, zeros,
};
use crate::real::Real;
use crate::real::sealed::Kernel;

/// An orthonormal basis and how badly conditioned the block was.
pub(super) struct Basis<T: Real> {
    /// The basis vectors are the rows.
    pub(super) q: DMatrix<T>,
    /// Estimate of the condition number of the block; infinite if its rows are numerically dependent.
    pub(super) condition: f64,
}

/// Above this condition number Cholesky's way is not taken: the triangular factor would carry too much of the rounding into the basis.
const CHOLESKY_LIMIT: f64 = 1e4;

/// A matrix with orthonormal rows whose span contains the rows of `block`.
///
/// Single-precision blocks go through the Cholesky factor of their Gram matrix in double precision (twice, so that the basis is
/// orthonormal to working precision), which is matrix products throughout. Badly conditioned and double-precision blocks take Householder reflections.
pub(super) fn orthonormalise<T: Real>(block: &DMatrix<T>, schedule: Schedule) -> Basis<T> {
    let Basis { q, condition } = condition_well(block, schedule);
    // Reflections, and Cholesky's way on a well-conditioned block, need no second pass.
    if <T as Kernel>::EPSILON < 1e-10 || condition < 10.0 || !(condition < CHOLESKY_LIMIT) {
        return Basis { q, condition };
    }
    match cholesky(&q, schedule) {
        Some((q, _)) => Basis { q, condition },
        None => Basis { q: householder(&q).q, condition },
    }
}

/// The same with less care: rows that are orthonormal to a thousandth or so, which is all that the next product of an iteration needs.
pub(super) fn condition_well<T: Real>(block: &DMatrix<T>, schedule: Schedule) -> Basis<T> {
    if <T as Kernel>::EPSILON > 1e-10
        && let Some((q, condition)) = cholesky(block, schedule)
    {
        return Basis { q, condition };
    }
    householder(block)
}

/// The basis L⁻¹ B with L the Cholesky factor of B Bᵀ, or nothing if B is too badly conditioned.
fn cholesky<T: Real>(block: &DMatrix<T>, schedule: Schedule) -> Option<(DMatrix<T>, f64)> {
    let rows = block.nrows();
    let factor = Llt::new(view(&gram_of_rows(block, schedule)), Side::Lower).ok()?;
    let lower = factor.L();
    let condition = spread((0..rows).map(|i| lower[(i, i)].abs()));
    // Written so that NaN is rejected.
    if !(condition < CHOLESKY_LIMIT) {
        return None;
    }
    let mut inverse: DMatrix<f64> = zeros(rows, rows);
    faer::linalg::triangular_inverse::invert_lower_triangular(view_mut(&mut inverse), lower, Par::Seq);
    let inverse: DMatrix<T> = convert(&inverse);
    Some((product(schedule, view(&inverse), view(block)), condition))
}

/// The largest over the smallest, infinite if that is zero.
fn spread(values: impl Iterator<Item = f64>) -> f64 {
    let (smallest, largest) = values.fold((f64::MAX, 0.0f64), |(low, high), d| (low.min(d), high.max(d)));
    if smallest > 0.0 { largest / smallest } else { f64::INFINITY }
}

fn householder<T: Real>(block: &DMatrix<T>) -> Basis<T> {
    let double: DMatrix<f64> = convert_transposed(block);
    let qr = Qr::new(view(&double));
    let thin = qr.compute_thin_Q();
    let mut q: DMatrix<T> = zeros(block.nrows(), block.ncols());
    for (j, mut column) in q.column_iter_mut().enumerate() {
        for (i, value) in column.iter_mut().enumerate() {
            *value = T::narrow(thin[(j, i)]);
        }
    }
    let r = qr.thin_R();
    Basis { q, condition: spread((0..block.nrows()).map(|i| r[(i, i)].abs())) }
}

/// Orthonormal rows that together with `earlier` (orthonormal rows already) span the rows of `block` too.
pub(super) fn extend<T: Real>(earlier: MatRef<'_, T>, block: &DMatrix<T>, schedule: Schedule) -> DMatrix<T> {
    let (filled, count) = (earlier.nrows(), block.nrows());
    if filled == 0 {
        return orthonormalise(block, schedule).q;
    }
    let project = |next: &mut DMatrix<T>| {
        let overlap = product(schedule, view(next), earlier.transpose());
        product_into(schedule, view_mut(next), true, view(&overlap), earlier, T::narrow(-1.0));
    };
    let mut next = condition_well(block, schedule).q;
    project(&mut next);
    // The second pass removes what rounding put back.
    next = condition_well(&next, schedule).q;
    project(&mut next);
    next = orthonormalise(&next, schedule).q;
    let overlap = sum_of_squares(product(schedule, view(&next), earlier.transpose()).as_slice()).sqrt();
    let limit = 64.0 * <T as Kernel>::EPSILON * (count as f64).sqrt();
    if overlap <= limit {
        return next;
    }
    // The block has (nearly) nothing new to offer. Reflections fill up with whatever is orthogonal to the rest.
    let both = DMatrix::from_fn(filled + count, block.ncols(), |i, j| {
        if i < filled { earlier[(i, j)] } else { next[(i - filled, j)] }
    });
    householder(&both).q.rows(filled, count).into_owned()
}
