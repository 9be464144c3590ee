//! The frozen singular vectors in which SALT and SVD tuning write their update.

use super::matrix::transpose;
use super::parameter::frozen;
use crate::config::Layout;
use burn::module::{Module, Param, ParamId};
use burn::tensor::{DType, Device, Tensor, TensorData};

/// Some singular triplets of a weight, laid out as the weight is stored: `left diag(sigma) right` adds to it without a transposition.
///
/// Frozen: no gradient, no optimiser state, not counted as trainable.
#[derive(Module, Debug)]
pub struct Basis {
    /// `[rows, k]`: `U` for `OutIn`, `V` for `InOut`.
    pub left: Param<Tensor<2>>,
    /// `[k]`.
    pub sigma: Param<Tensor<1>>,
    /// `[k, columns]`: `V^T` for `OutIn`, `U^T` for `InOut`.
    pub right: Param<Tensor<2>>,
}

impl Basis {
    /// From the factors in storage order; `ids` names the three parameters.
    pub(crate) fn new(left: Tensor<2>, sigma: Tensor<1>, right: Tensor<2>, ids: [ParamId; 3]) -> Self {
        Self { left: frozen(ids[0], left), sigma: frozen(ids[1], sigma), right: frozen(ids[2], right) }
    }

    /// Number of triplets.
    pub fn len(&self) -> usize {
        self.sigma.dims()[0]
    }

    /// Whether there are none; never true for an attached basis.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The left vectors in the numbers of the singular values: wider ones than they are [stored](crate::store_frozen_in_half) in, perhaps.
    pub(crate) fn left(&self) -> Tensor<2> {
        widened(self.left.val(), self.sigma.dtype())
    }

    /// The right vectors, as the [left](Self::left) ones.
    pub(crate) fn right(&self) -> Tensor<2> {
        widened(self.right.val(), self.sigma.dtype())
    }

    /// `left diag(d) right` for `d [k]`. The diagonal goes to the smaller factor; it is never expanded to a matrix.
    pub(crate) fn diagonal(&self, d: Tensor<1>) -> Tensor<2> {
        let (left, right) = (self.left(), self.right());
        let k = self.len();
        if left.dims()[0] <= right.dims()[1] {
            (left * d.reshape([1, k])).matmul(right)
        } else {
            left.matmul(right * d.reshape([k, 1]))
        }
    }

    /// `(U, V^T)`, both row-major, as files and papers have them.
    pub(crate) fn papers_factors(&self, layout: Layout) -> (Tensor<2>, Tensor<2>) {
        let (left, right) = (self.left(), self.right());
        match layout {
            Layout::OutIn => (left, right),
            Layout::InOut => (right.transpose(), left.transpose()),
        }
    }

    /// The triplets `range` of a decomposition.
    pub(crate) fn from_host(
        svd: &HostSvd,
        range: std::ops::Range<usize>,
        layout: Layout,
        target: (&Device, DType),
        ids: [ParamId; 3],
    ) -> Self {
        let k = range.len();
        let u_t = svd.u_t[range.start * svd.outputs..range.end * svd.outputs].to_vec();
        let v: Vec<f32> =
            svd.v.chunks_exact(svd.sigma.len()).flat_map(|row| row[range.clone()].iter().copied()).collect();
        let (left, right) = match layout {
            Layout::InOut => (TensorData::new(v, [svd.inputs, k]), TensorData::new(u_t, [k, svd.outputs])),
            Layout::OutIn => (
                TensorData::new(transpose(&u_t, k, svd.outputs), [svd.outputs, k]),
                TensorData::new(transpose(&v, svd.inputs, k), [k, svd.inputs]),
            ),
        };
        Self::new(
            Tensor::from_data(left, target),
            Tensor::from_data(TensorData::new(svd.sigma[range].to_vec(), [k]), target),
            Tensor::from_data(right, target),
            ids,
        )
    }
}

/// The same values as numbers of another type.
pub(crate) fn widened<const D: usize>(tensor: Tensor<D>, dtype: DType) -> Tensor<D> {
    if tensor.dtype() == dtype { tensor } else { tensor.cast(dtype) }
}

/// A decomposition on the host: `U^T [k, outputs]` and `V [inputs, k]`, both row-major, and `sigma [k]`, descending.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct HostSvd {
    pub(crate) outputs: usize,
    pub(crate) inputs: usize,
    pub(crate) u_t: Vec<f32>,
    pub(crate) sigma: Vec<f32>,
    pub(crate) v: Vec<f32>,
}

impl HostSvd {
    /// The first `k` triplets.
    pub(crate) fn leading(mut self, k: usize) -> Self {
        let all = self.sigma.len();
        if k < all {
            self.v = self.v.chunks_exact(all).flat_map(|row| row[..k].iter().copied()).collect();
            self.u_t.truncate(k * self.outputs);
            self.sigma.truncate(k);
        }
        self
    }
}
