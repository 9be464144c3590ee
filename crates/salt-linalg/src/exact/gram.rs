//! The decomposition of A through the eigendecomposition of AᵀA.
//!
//! Squaring costs half the digits: with ε the rounding unit of double precision, the eigenvalues of AᵀA carry an absolute error of about
//! ε s₁², so a singular value s is known to ε s₁² / s and the computed left vectors A v / s of two values s, t lean on each other by
//! about ε s₁² / (s t). Where both exceed 1e-4 s₁ that is below 1e-8 and invisible once the result is rounded to single precision.
//! Below, the vectors are made orthonormal after the fact, which moves the product of the factors by no more than the lean times the (small)
//! singular value. Under 1e-7 s₁ the lean is no longer small and the matrix is left to the next algorithm of the ladder.

use faer::diag::DiagMut;
use faer::dyn_stack::{MemBuffer, MemStack};
use faer::linalg::evd::{ComputeEigenvectors, self_adjoint_evd, self_adjoint_evd_scratch};
use faer::{MatRef, Par, Spec};
use nalgebra::DMatrix;

use super::factors::Factors;
use crate::error::StepFailure;
use crate::product::{Schedule, gram, product, product_into, sum_of_squares, view, view_mut, zeros};

/// Below this share of the largest singular value, left vectors are re-orthonormalised.
const RELIABLE: f64 = 1e-4;
/// Above this share, one step of orthonormalisation squares the lean away; below it takes two.
const ONE_STEP: f64 = 1e-5;
/// Below this share, the Gram matrix says too little.
const LIMIT: f64 = 1e-7;

pub(super) fn decompose(tall: &DMatrix<f64>, schedule: Schedule) -> Result<Factors, StepFailure> {
    let cols = tall.ncols();
    let (eigenvalues, right) = eigen(gram(view(tall), schedule))?;
    let largest = eigenvalues[0].max(0.0).sqrt();
    let smallest = eigenvalues[cols - 1].max(0.0).sqrt();
    if !(smallest > LIMIT * largest) {
        return Err(StepFailure::IllConditioned { ratio: smallest / largest, limit: LIMIT });
    }
    let mut left = product(schedule, view(tall), view(&right));
    let mut values = Vec::with_capacity(cols);
    for mut column in left.column_iter_mut() {
        // The length of A v is more accurate than the root of the eigenvalue.
        let length = sum_of_squares(column.as_slice()).sqrt();
        column /= length;
        values.push(length);
    }
    let reliable = values.iter().take_while(|&&value| value >= RELIABLE * largest).count();
    let steps = if smallest >= ONE_STEP * largest { 1 } else { 2 };
    orthonormalise_tail(&mut left, reliable, steps, schedule);
    Ok(sorted(Factors { left, values, right }))
}

/// Eigenvalues, descending, and eigenvectors of a symmetric matrix given by its lower triangle.
pub(crate) fn eigen(symmetric: DMatrix<f64>) -> Result<(Vec<f64>, DMatrix<f64>), StepFailure> {
    let size = symmetric.nrows();
    let mut values = vec![0.0; size];
    let mut vectors = zeros(size, size);
    let params = Spec::default();
    let scratch = self_adjoint_evd_scratch::<f64>(size, ComputeEigenvectors::Yes, Par::Seq, params);
    let mut memory =
        MemBuffer::try_new(scratch).map_err(|_| StepFailure::Panicked("out of memory for the workspace".to_owned()))?;
    self_adjoint_evd(
        view(&symmetric),
        DiagMut::from_slice_mut(&mut values),
        Some(view_mut(&mut vectors)),
        Par::Seq,
        MemStack::new(&mut memory),
        params,
    )
    .map_err(|_| StepFailure::NoConvergence)?;
    if values.iter().any(|value| !value.is_finite()) {
        return Err(StepFailure::NotFinite);
    }
    // faer sorts ascending.
    values.reverse();
    for col in 0..size / 2 {
        vectors.swap_columns(col, size - 1 - col);
    }
    Ok((values, vectors))
}

/// Makes the columns from `start` on orthogonal to those before, and orthonormal among themselves.
fn orthonormalise_tail(left: &mut DMatrix<f64>, start: usize, steps: usize, schedule: Schedule) {
    let count = left.ncols() - start;
    if count == 0 {
        return;
    }
    let (rows, split) = (left.nrows(), left.nrows() * start);
    for _ in 0..steps {
        let (head, tail) = left.as_mut_slice().split_at_mut(split);
        let head = MatRef::from_column_major_slice(head, rows, start);
        let mut tail = faer::MatMut::from_column_major_slice_mut(tail, rows, count);
        if start > 0 {
            let overlap = product(schedule, head.transpose(), tail.as_ref());
            product_into(schedule, tail.as_mut(), true, head, view(&overlap), -1.0);
        }
        // One step of Newton and Schulz towards the polar factor: T ← T (3 I − TᵀT) / 2.
        let mut step = product(schedule, tail.as_ref().transpose(), tail.as_ref());
        step *= -0.5;
        for i in 0..count {
            step[(i, i)] += 1.5;
        }
        let corrected = product(schedule, tail.as_ref(), view(&step));
        tail.copy_from(view(&corrected));
    }
}

/// Re-measured lengths can swap neighbours that differ in the last digits.
fn sorted(mut factors: Factors) -> Factors {
    let values = &factors.values;
    if values.windows(2).all(|pair| pair[0] >= pair[1]) {
        return factors;
    }
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|&a, &b| values[b].total_cmp(&values[a]));
    factors.left = factors.left.select_columns(&order);
    factors.right = factors.right.select_columns(&order);
    factors.values = order.iter().map(|&i| factors.values[i]).collect();
    factors
}
