//! The algorithms of the ladder.

use faer::diag::DiagMut;
use faer::dyn_stack::{MemBuffer, MemStack};
use faer::linalg::svd::{ComputeSvdVectors, svd, svd_scratch};
use faer::{Par, Spec};
use nalgebra::DMatrix;

use super::Factors;
use super::gram;
use super::ladder::Step;
use crate::error::StepFailure;
use crate::product::{Schedule, view, view_mut, zeros};
use crate::svd::Algorithm;

/// The algorithms to try, fastest first. The Gram matrix squares the condition number, which double precision can afford only
/// when the answer is wanted in single precision.
pub(super) fn ladder(single_precision: bool) -> Vec<Step<'static>> {
    let mut steps = Vec::with_capacity(3);
    if single_precision {
        steps.push(Step { algorithm: Algorithm::GramEigen, run: &gram::decompose });
    }
    steps.push(Step { algorithm: Algorithm::Bidiagonal, run: &bidiagonal });
    steps.push(Step { algorithm: Algorithm::QrIteration, run: &qr_iteration });
    steps
}

/// faer's thin decomposition, always sequential: with its own threads the bits would depend on their number.
fn bidiagonal(tall: &DMatrix<f64>, _: Schedule) -> Result<Factors, StepFailure> {
    let (rows, cols) = tall.shape();
    let (mut left, mut right) = (zeros(rows, cols), zeros(cols, cols));
    let mut values = vec![0.0; cols];
    let thin = ComputeSvdVectors::Thin;
    let params = Spec::default();
    let mut memory = MemBuffer::try_new(svd_scratch::<f64>(rows, cols, thin, thin, Par::Seq, params))
        .map_err(|_| StepFailure::Panicked("out of memory for the workspace".to_owned()))?;
    svd(
        view(tall),
        DiagMut::from_slice_mut(&mut values),
        Some(view_mut(&mut left)),
        Some(view_mut(&mut right)),
        Par::Seq,
        MemStack::new(&mut memory),
        params,
    )
    .map_err(|_| StepFailure::NoConvergence)?;
    Ok(Factors { left, values, right })
}

/// nalgebra's decomposition: slow, and independent of faer.
fn qr_iteration(tall: &DMatrix<f64>, _: Schedule) -> Result<Factors, StepFailure> {
    // A singular value takes two or three implicit QR steps; thirty each is LAPACK's limit too.
    let budget = 30 * tall.ncols() * tall.ncols().max(10);
    let mut svd = nalgebra::linalg::SVD::try_new_unordered(tall.clone(), true, true, f64::EPSILON, budget)
        .ok_or(StepFailure::NoConvergence)?;
    svd.sort_by_singular_values();
    match (svd.u, svd.v_t) {
        (Some(left), Some(v_t)) => {
            Ok(Factors { left, values: svd.singular_values.as_slice().to_vec(), right: v_t.transpose() })
        }
        _ => Err(StepFailure::NoConvergence),
    }
}
