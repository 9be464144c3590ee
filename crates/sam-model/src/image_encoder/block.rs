//! One transformer block.

use burn::module::Module;
use burn::nn::{Linear, LinearConfig};
use burn::tensor::{Device, Tensor};
use burn_kernels::layer::{linear_gelu, linear_onto};

use super::Attention;
use crate::SamConfig;
use crate::nn::LayerNorm;

/// Norm, attention, norm, MLP, each pair with a residual connection.
#[derive(Module, Debug)]
pub struct Block {
    /// Before the attention.
    pub norm1: LayerNorm,
    /// The attention.
    pub attn: Attention,
    /// Before the MLP.
    pub norm2: LayerNorm,
    /// The MLP.
    pub mlp: BlockMlp,
}

/// Two linear layers with the exact (error function) GELU between them.
#[derive(Module, Debug)]
pub struct BlockMlp {
    /// `embed_dim -> mlp_dim`.
    pub lin1: Linear,
    /// `mlp_dim -> embed_dim`.
    pub lin2: Linear,
}

impl Block {
    pub(crate) fn new(config: &SamConfig, index: usize, device: &Device) -> Self {
        let (width, hidden, epsilon) = (config.embed_dim, config.mlp_dim(), config.encoder_norm_epsilon());
        Self {
            norm1: LayerNorm::new(width, epsilon, device),
            attn: Attention::new(config, index, device),
            norm2: LayerNorm::new(width, epsilon, device),
            mlp: BlockMlp {
                lin1: LinearConfig::new(width, hidden).init(device),
                lin2: LinearConfig::new(hidden, width).init(device),
            },
        }
    }

    /// `[N, h, w, embed_dim]` to the same shape.
    pub fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let [n, height, width, channels] = x.dims();
        let x = self.attn.forward_onto(self.norm1.forward(x.clone()), x);
        let flat = x.reshape([n * height * width, channels]);
        let out = self.mlp.forward_onto(self.norm2.forward(flat.clone()), flat);
        out.reshape([n, height, width, channels])
    }
}

impl BlockMlp {
    /// `x [tokens, embed_dim]` through both layers, added to a residual connection of the same shape.
    pub fn forward_onto(&self, x: Tensor<2>, residual: Tensor<2>) -> Tensor<2> {
        linear_onto(&self.lin2, linear_gelu(&self.lin1, x), residual)
    }
}
