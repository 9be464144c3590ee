//! Layer normalisation over the last dimension, with the parameter names of the checkpoints.

use burn::module::{Module, Param};
use burn::nn::Initializer;
use burn::tensor::{Device, Tensor};
use burn_kernels::layer_norm;

/// `y = (x - mean) / sqrt(variance + epsilon) * weight + bias` over the last dimension.
///
/// The same arithmetic as Burn's own layer norm; its fields are called `weight` and `bias` as in the checkpoints, so that a
/// parameter's path in the module is its key in the file.
#[derive(Module, Debug)]
pub struct LayerNorm {
    /// Scale, `[width]`, initially 1.
    pub weight: Param<Tensor<1>>,
    /// Shift, `[width]`, initially 0.
    pub bias: Param<Tensor<1>>,
    epsilon: f64,
}

impl LayerNorm {
    /// A norm over `width` features.
    pub fn new(width: usize, epsilon: f64, device: &Device) -> Self {
        Self {
            weight: Initializer::Ones.init([width], device),
            bias: Initializer::Zeros.init([width], device),
            epsilon,
        }
    }

    /// `[..., width]` to `[..., width]`.
    pub fn forward<const D: usize>(&self, input: Tensor<D>) -> Tensor<D> {
        layer_norm(input, self.weight.val(), self.bias.val(), self.epsilon)
    }
}
