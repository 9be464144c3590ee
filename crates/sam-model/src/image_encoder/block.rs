//! One transformer block.

use burn::module::Module;
use burn::nn::{Linear, LinearConfig};
use burn::tensor::{Device, Tensor};
use burn_kernels::gelu;
use burn_kernels::layer::linear;

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
        let x = x.clone() + self.attn.forward(self.norm1.forward(x));
        let flat = x.reshape([n * height * width, channels]);
        let out = flat.clone() + self.mlp.forward(self.norm2.forward(flat));
        out.reshape([n, height, width, channels])
    }
}

impl BlockMlp {
    /// `[tokens, embed_dim]` to the same shape.
    pub fn forward(&self, x: Tensor<2>) -> Tensor<2> {
        linear(&self.lin2, gelu(linear(&self.lin1, x)))
    }
}
