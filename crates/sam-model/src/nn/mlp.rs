//! The plain stack of linear layers behind the mask and IoU tokens.

use burn::module::Module;
use burn::nn::{Linear, LinearConfig};
use burn::tensor::activation::relu;
use burn::tensor::{Device, Tensor};
use burn_kernels::layer::{linear, linear_gelu, linear_onto};

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
        self.forward_by(x, |layer, x| relu(linear(layer, x)), linear)
    }

    /// The same with the exact (error function) GELU between the layers, and with a residual connection `[..., output]` if there is one.
    pub(crate) fn forward_gelu<const D: usize>(&self, x: Tensor<D>, residual: Option<Tensor<D>>) -> Tensor<D> {
        self.forward_by(x, linear_gelu, |layer, x| match residual {
            Some(residual) => linear_onto(layer, x, residual),
            None => linear(layer, x),
        })
    }

    fn forward_by<const D: usize>(
        &self,
        x: Tensor<D>,
        inner: impl Fn(&Linear, Tensor<D>) -> Tensor<D>,
        last: impl FnOnce(&Linear, Tensor<D>) -> Tensor<D>,
    ) -> Tensor<D> {
        match self.layers.split_last() {
            Some((last_layer, layers)) => last(last_layer, layers.iter().fold(x, |x, layer| inner(layer, x))),
            None => x,
        }
    }
}
