//! LoRA and DoRA.

use super::adapter::sum;
use super::matrix::stored_product;
use crate::config::Layout;
use burn::module::{Module, Param};
use burn::tensor::Tensor;

/// LoRA (Hu et al. 2022): `W' = W + scale B A`.
#[derive(Module, Debug)]
pub struct Lora {
    /// `A [rank, in]`.
    pub a: Param<Tensor<2>>,
    /// `B [out, rank]`.
    pub b: Param<Tensor<2>>,
    /// `alpha / rank`, or `alpha / sqrt(rank)` for rsLoRA.
    pub scale: f64,
}

impl Lora {
    /// `scale B A` in the order in which the weight is stored. The scale goes to the smaller factor.
    pub fn delta(&self, layout: Layout) -> Tensor<2> {
        let (a, b) = (self.a.val(), self.b.val());
        if self.scale == 1.0 {
            stored_product(layout, b, a)
        } else if a.dims()[1] <= b.dims()[0] {
            stored_product(layout, b, a * self.scale)
        } else {
            stored_product(layout, b * self.scale, a)
        }
    }
}

/// DoRA (Liu et al. 2024): `W' = m (W + scale B A) / ||W + scale B A||`, row by row, the norm a constant in the gradient.
#[derive(Module, Debug)]
pub struct Dora {
    /// The direction's update.
    pub direction: Lora,
    /// `m [out]`.
    pub magnitude: Param<Tensor<1>>,
}

impl Dora {
    /// The effective weight, in the order in which it is stored.
    pub fn effective(&self, base: Tensor<2>, layout: Layout) -> Tensor<2> {
        let direction = sum(base, self.direction.delta(layout));
        let norm = row_norms(direction.clone().detach(), layout);
        let outputs = norm.dims()[0];
        let factor = self.magnitude.val() / norm;
        direction
            * match layout {
                Layout::OutIn => factor.reshape([outputs, 1]),
                Layout::InOut => factor.reshape([1, outputs]),
            }
    }
}

/// Euclidean norm of each output's weights, `[out]`.
pub(crate) fn row_norms(weight: Tensor<2>, layout: Layout) -> Tensor<1> {
    let (axis, outputs) = match layout {
        Layout::OutIn => (1, weight.dims()[0]),
        Layout::InOut => (0, weight.dims()[1]),
    };
    weight.square().sum_dim(axis).sqrt().reshape([outputs])
}
