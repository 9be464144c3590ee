//! Multi-head attention with a narrower inside.

use burn::module::Module;
use burn::nn::{Linear, LinearConfig};
use burn::tensor::{Device, Tensor};
use burn_kernels::cross_attention;
use burn_kernels::layer::{linear, linear_onto};

/// Attention whose queries, keys and values are `width / downsample_rate` wide.
#[derive(Module, Debug)]
pub struct DecoderAttention {
    /// Query projection.
    pub q_proj: Linear,
    /// Key projection.
    pub k_proj: Linear,
    /// Value projection.
    pub v_proj: Linear,
    /// Output projection.
    pub out_proj: Linear,
    num_heads: usize,
}

impl DecoderAttention {
    pub(crate) fn new(width: usize, num_heads: usize, downsample_rate: usize, device: &Device) -> Self {
        let inner = width / downsample_rate;
        let into = || LinearConfig::new(width, inner).init(device);
        Self {
            q_proj: into(),
            k_proj: into(),
            v_proj: into(),
            out_proj: LinearConfig::new(inner, width).init(device),
            num_heads,
        }
    }

    /// Queries `[N, T, C]`, keys and values `[N, S, C]` to `[N, T, C]`.
    pub fn forward(&self, query: Tensor<3>, key: Tensor<3>, value: Tensor<3>) -> Tensor<3> {
        linear(&self.out_proj, self.attended([query, key, value]))
    }

    /// The same for `[query, key, value]`, added to a residual connection `[N, T, C]`.
    pub(super) fn forward_onto(&self, inputs: [Tensor<3>; 3], residual: Tensor<3>) -> Tensor<3> {
        linear_onto(&self.out_proj, self.attended(inputs), residual)
    }

    /// Before the output projection.
    fn attended(&self, [query, key, value]: [Tensor<3>; 3]) -> Tensor<3> {
        let query = linear(&self.q_proj, query);
        let [key, value] = [linear(&self.k_proj, key), linear(&self.v_proj, value)];
        cross_attention(query, key, value, self.num_heads)
    }
}
