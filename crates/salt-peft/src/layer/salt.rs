//! SALT and SVD tuning, written as updates of the stored weight.
//!
//! The paper composes `W' = U f(S') V^T`. With `W = U S V^T` that equals `W + U (f(S') - S) V^T`, and the difference
//! `f(S') - S` is diagonal in the top block and small or low-rank in the other: no dense core is built where none is needed,
//! the base weight enters with its own bits, and an adapter whose factors say "no change" changes nothing.

use super::basis::Basis;
use super::matrix::stored_product;
use crate::config::{Layout, SaltForm};
use crate::tail_path::{TailPath, tail_path};
use burn::module::{Module, Param};
use burn::tensor::Tensor;
use burn::tensor::activation::relu;

/// The scaled and shifted singular values: `alpha * sigma + beta`.
#[derive(Module, Debug)]
pub struct Top {
    /// Scale, `[r]`, 1 at the start.
    pub alpha: Param<Tensor<1>>,
    /// Shift, `[r]`, 0 at the start.
    pub beta: Param<Tensor<1>>,
    /// The `r` largest triplets.
    pub basis: Basis,
}

impl Top {
    /// `f(alpha * sigma + beta) - sigma`, `[r]`: exactly zero for `alpha = 1`, `beta = 0`.
    pub fn change(&self, with_relu: bool) -> Tensor<1> {
        let sigma = self.basis.sigma.val();
        let scaled = self.alpha.val() * sigma.clone() + self.beta.val();
        (if with_relu { relu(scaled) } else { scaled }) - sigma
    }

    /// The update of the weight.
    pub fn delta(&self, with_relu: bool) -> Tensor<2> {
        self.basis.diagonal(self.change(with_relu))
    }
}

/// SVD tuning (S-SAM): `W' = U f(alpha * sigma + beta) V^T` over all singular values.
#[derive(Module, Debug)]
pub struct SvdTuning {
    /// All triplets.
    pub top: Top,
    /// Whether the trained singular values pass a ReLU, as in S-SAM.
    pub relu: bool,
}

/// The low-rank update of the remaining block: `X Y` in the coordinates of the `k - r` smaller triplets.
#[derive(Module, Debug)]
pub struct Tail {
    /// `X [k - r, d]`.
    pub x: Param<Tensor<2>>,
    /// `Y [d, k - r]`.
    pub y: Param<Tensor<2>>,
    /// The `k - r` smaller triplets.
    pub basis: Basis,
}

impl Tail {
    /// The factors in storage order: `(X, Y)` for `OutIn`, `(Y^T, X^T)` for `InOut`.
    pub(crate) fn stored_factors(&self, layout: Layout) -> (Tensor<2>, Tensor<2>) {
        match layout {
            Layout::OutIn => (self.x.val(), self.y.val()),
            Layout::InOut => (self.y.val().transpose(), self.x.val().transpose()),
        }
    }

    /// The update without a ReLU, on the path that the cost model chooses.
    pub fn delta(&self, layout: Layout) -> Tensor<2> {
        let [rows, _] = self.basis.left.dims();
        let [t, columns] = self.basis.right.dims();
        self.delta_by(layout, tail_path(rows, columns, t, self.y.dims()[0]))
    }

    /// The update without a ReLU on a given path; all paths give the same matrix.
    pub fn delta_by(&self, layout: Layout, path: TailPath) -> Tensor<2> {
        let (first, second) = self.stored_factors(layout);
        let (left, right) = (self.basis.left(), self.basis.right());
        match path {
            TailPath::LowRank => left.matmul(first).matmul(second.matmul(right)),
            TailPath::Core => core_product(left, first.matmul(second), right),
        }
    }

    /// `relu(diag(sigma) + X Y) - diag(sigma)` in storage order, `[k - r, k - r]`: the paper's ReLU acts entry by entry on the whole block.
    pub fn clipped_core(&self, layout: Layout) -> Tensor<2> {
        let (first, second) = self.stored_factors(layout);
        let core = diagonal_matrix(self.basis.sigma.val());
        relu(first.matmul(second) + core.clone()) - core
    }

    /// The update with the paper's ReLU.
    pub fn clipped_delta(&self, layout: Layout) -> Tensor<2> {
        core_product(self.basis.left(), self.clipped_core(layout), self.basis.right())
    }
}

/// `left core right`, the core multiplied first on the smaller side.
fn core_product(left: Tensor<2>, core: Tensor<2>, right: Tensor<2>) -> Tensor<2> {
    if left.dims()[0] <= right.dims()[1] { left.matmul(core).matmul(right) } else { left.matmul(core.matmul(right)) }
}

/// `diag(values) [n, n]`, built by reshaping: a first column of values before `n` columns of zeros puts value `i` at `i (n + 1)`.
pub(crate) fn diagonal_matrix(values: Tensor<1>) -> Tensor<2> {
    let n = values.dims()[0];
    let zeros = Tensor::<2>::zeros([n, n], (&values.device(), values.dtype()));
    Tensor::cat(vec![values.reshape([n, 1]), zeros], 1).reshape([n * (n + 1)]).slice(0..n * n).reshape([n, n])
}

/// SALT in the forms `paper`, `diag` and `linear`:
/// `W' = U f(blkdiag(alpha * S_r + beta, S_rest + X Y)) V^T`.
#[derive(Module, Debug)]
pub struct Salt {
    /// The top block; none for rank 0.
    pub top: Option<Top>,
    /// The remaining block; none where nothing remains or the update has rank 0.
    pub tail: Option<Tail>,
    /// Where the ReLU is.
    #[module(skip)]
    pub form: SaltForm,
}

impl Salt {
    /// The update of the weight in storage order; none where neither block exists.
    pub fn delta(&self, layout: Layout) -> Option<Tensor<2>> {
        let top = self.top.as_ref().map(|top| top.delta(self.form != SaltForm::Linear));
        let tail = self.tail.as_ref().map(|tail| match self.form {
            SaltForm::Paper => tail.clipped_delta(layout),
            _ => tail.delta(layout),
        });
        match (top, tail) {
            (Some(top), Some(tail)) => Some(top + tail),
            (top, tail) => top.or(tail),
        }
    }
}

/// SALT's projector form:
/// `W' = W + U_r diag(alpha * S_r + beta - S_r) V_r^T + (I - U_r U_r^T) B A (I - V_r V_r^T)`.
///
/// It depends on the top subspaces only, so another basis of them (signs, rotations) gives the same weight.
#[derive(Module, Debug)]
pub struct Projector {
    /// The top block; none for rank 0.
    pub top: Option<Top>,
    /// `A [d, in]`.
    pub a: Param<Tensor<2>>,
    /// `B [out, d]`.
    pub b: Param<Tensor<2>>,
}

impl Projector {
    /// `B` and `A` without their parts in the top subspaces, in storage order: `[rows, d]` and `[d, columns]`.
    pub(crate) fn projected(&self, layout: Layout) -> (Tensor<2>, Tensor<2>) {
        let (first, second) = match layout {
            Layout::OutIn => (self.b.val(), self.a.val()),
            Layout::InOut => (self.a.val().transpose(), self.b.val().transpose()),
        };
        match &self.top {
            None => (first, second),
            Some(top) => {
                let (left, right) = (top.basis.left(), top.basis.right());
                let first = first.clone() - left.clone().matmul(left.transpose().matmul(first));
                let second = second.clone() - second.matmul(right.clone().transpose()).matmul(right);
                (first, second)
            }
        }
    }

    /// The update of the weight in storage order.
    pub fn delta(&self, layout: Layout) -> Tensor<2> {
        let (first, second) = self.projected(layout);
        let tail = first.matmul(second);
        match &self.top {
            Some(top) => top.delta(false) + tail,
            None => tail,
        }
    }

    /// The unprojected `B A`, for comparison.
    pub fn raw_product(&self, layout: Layout) -> Tensor<2> {
        stored_product(layout, self.b.val(), self.a.val())
    }
}
