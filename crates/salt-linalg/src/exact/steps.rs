//! The algorithms of the ladder.

use faer::diag::DiagMut;
use faer::dyn_stack::{MemBuffer, MemStack};
use faer::linalg::svd::{ComputeSvdVectors, SvdParams, svd, svd_scratch};
use faer::{Auto, Par, Spec};
use nalgebra::DMatrix;

use super::factors::Factors;
use super::ladder::Step;
use super::{gram, jacobi};
use crate::algorithm::Algorithm;
use crate::error::StepFailure;
use crate::product::{view, view_mut, zeros};

/// The algorithms to try, fastest first. The Gram matrix squares the condition number, which double precision can afford only
/// when the answer is wanted in single precision.
pub(super) fn ladder(single_precision: bool) -> Vec<Step<'static>> {
    let mut steps = Vec::with_capacity(3);
    if single_precision {
        steps.push(Step { algorithm: Algorithm::GramEigen, run: &gram::decompose });
    }
    steps.push(Step { algorithm: Algorithm::Bidiagonal, run: &|tall, _| bidiagonal(tall, Spec::default()) });
    steps.push(Step { algorithm: Algorithm::BidiagonalDirect, run: &|tall, _| bidiagonal(tall, without_qr()) });
    steps.push(Step { algorithm: Algorithm::Jacobi, run: &jacobi::decompose });
    steps
}

/// faer reduces matrices that are much taller than wide to their triangular factor first. Its QR decomposition stops at columns that it takes for
/// dependent, which costs a few hundred rounding units for graded and rank-deficient matrices; without it the result is as exact as for square ones.
fn without_qr() -> Spec<SvdParams, f64> {
    Spec::new(SvdParams { qr_ratio_threshold: f64::INFINITY, ..<SvdParams as Auto<f64>>::auto() })
}

/// faer's thin decomposition, always sequential: with its own threads the bits would depend on their number.
fn bidiagonal(tall: &DMatrix<f64>, params: Spec<SvdParams, f64>) -> Result<Factors, StepFailure> {
    let (rows, cols) = tall.shape();
    let (mut left, mut right) = (zeros(rows, cols), zeros(cols, cols));
    let mut values = vec![0.0; cols];
    let thin = ComputeSvdVectors::Thin;
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
