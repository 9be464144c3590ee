//! The plain stack of linear layers behind the mask and IoU tokens.

use burn::module::Module;
use burn::nn::{Linear, LinearConfig};
use burn::tensor::activation::relu;
use burn::tensor::{Device, Tensor};
use burn_kernels::layer::linear;

/// Linear layers with ReLU between them (none after the last).
#[derive(Module, Debug)]
pub struct Mlp {
    /// The layers in order.
    pub layers: Vec<Linear>,
}

impl Mlp {
    /// `depth` layers: `input -> hidden -> ... -> hidden -> output`.
    pub fn new(input: usize, hidden: usize, output: usize, depth: usize, device: &Device) -> Self {
        let layers = (0..depth)
            .map(|i| {
                let from = if i == 0 { input } else { hidden };
                let to = if i + 1 == depth { output } else { hidden };
                LinearConfig::new(from, to).init(device)
            })
            .collect();
        Self { layers }
    }

    /// `[..., input]` to `[..., output]`.
    pub fn forward<const D: usize>(&self, x: Tensor<D>) -> Tensor<D> {
        self.forward_with(x, relu)
    }

    /// The same with another activation between the layers.
    pub(crate) fn forward_with<const D: usize>(
        &self,
        mut x: Tensor<D>,
        activation: impl Fn(Tensor<D>) -> Tensor<D>,
    ) -> Tensor<D> {
        let last = self.layers.len().saturating_sub(1);
        for (i, layer) in self.layers.iter().enumerate() {
            x = linear(layer, x);
            if i != last {
                x = activation(x);
            }
        }
        x
    }
}
