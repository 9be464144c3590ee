//! Self-attention in windows, with pooled queries where a stage begins.

use burn::module::Module;
use burn::nn::{Linear, LinearConfig};
use burn::tensor::{Device, Tensor};
use burn_kernels::layer::{linear, linear_onto};
use burn_kernels::{Heads, cross_attention, halve_by_maximum, self_attention};

use crate::config::HieraBlockShape;
use crate::nn::{cut_windows, join_windows, project_whole_windows};

/// Self-attention without relative positions. Its inside is as wide as its output.
#[derive(Module, Debug)]
pub struct HieraAttention {
    /// Query, key and value of every head: Burn's layout `[from, 3 * to]`, columns ordered (query | key | value), each
    /// (head, head_dim).
    pub qkv: Linear,
    /// The output projection.
    pub proj: Linear,
    num_heads: usize,
    window: usize,
    pub(super) pools: bool,
}

impl HieraAttention {
    pub(super) fn new(shape: HieraBlockShape, device: &Device) -> Self {
        Self {
            qkv: LinearConfig::new(shape.from, 3 * shape.to).init(device),
            proj: LinearConfig::new(shape.to, shape.to).init(device),
            num_heads: shape.heads,
            window: shape.window,
            pools: shape.pools,
        }
    }

    /// `[N, h, w, from]` to `[N, h, w, to]`, or to `[N, h / 2, w / 2, to]` where the queries are pooled.
    ///
    /// The padding of windows that stick out over the grid is not masked: its keys and values are the biases and take part in every
    /// softmax.
    pub fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        linear(&self.proj, self.attended(x))
    }

    /// The same, added to a residual connection of the output's shape.
    pub fn forward_onto(&self, x: Tensor<4>, residual: Tensor<4>) -> Tensor<4> {
        linear_onto(&self.proj, self.attended(x), residual)
    }

    /// Before the output projection.
    fn attended(&self, x: Tensor<4>) -> Tensor<4> {
        let [n, height, width, _] = x.dims();
        let side = |length: usize| if self.window == 0 { length } else { self.window };
        let window = [side(height), side(width)];
        let qkv = project_whole_windows(&self.qkv, x, window);
        let [_, rows, columns, width_of_all] = qkv.dims();
        let channels = width_of_all / 3;
        let heads = Heads { count: self.num_heads, grid: None };
        if self.pools {
            let part = |index: usize| qkv.clone().narrow(3, index * channels, channels);
            // Windows are of even sides here, so pooling the whole map pools every window by itself.
            let pooled = window.map(|side| side / 2);
            let query = cut_windows(halve_by_maximum(part(0)), pooled);
            let out = cross_attention(query, cut_windows(part(1), window), cut_windows(part(2), window), heads.count);
            join_windows(out, [n, rows / 2, columns / 2, channels], pooled, [height / 2, width / 2])
        } else {
            let out = self_attention(cut_windows(qkv, window), heads, None);
            join_windows(out, [n, rows, columns, channels], window, [height, width])
        }
    }
}
