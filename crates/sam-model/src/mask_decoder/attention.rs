//! Multi-head attention with a narrower inside.

use burn::module::Module;
use burn::nn::{Linear, LinearConfig};
use burn::tensor::{Device, Tensor};

use crate::nn::attention;

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
        let query = self.heads(self.q_proj.forward(query));
        let [_, _, head_dim] = query.dims();
        let scale = (head_dim as f64).powf(-0.5);
        let key = self.heads(self.k_proj.forward(key));
        let value = self.heads(self.v_proj.forward(value));
        let out = attention(query * scale, key, value);
        let [groups, tokens, head_dim] = out.dims();
        let n = groups / self.num_heads;
        let out = out.reshape([n, self.num_heads, tokens, head_dim]).swap_dims(1, 2).reshape([
            n,
            tokens,
            self.num_heads * head_dim,
        ]);
        self.out_proj.forward(out)
    }

    /// `[N, T, heads * head_dim]` to `[N * heads, T, head_dim]`.
    fn heads(&self, x: Tensor<3>) -> Tensor<3> {
        let [n, tokens, width] = x.dims();
        let head_dim = width / self.num_heads;
        x.reshape([n, tokens, self.num_heads, head_dim]).swap_dims(1, 2).reshape([n * self.num_heads, tokens, head_dim])
    }
}
