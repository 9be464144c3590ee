//! Multi-head self-attention over a grid of patches, in windows or over the whole grid.

use burn::module::{Module, Param};
use burn::nn::Initializer;
use burn::nn::{Linear, LinearConfig};
use burn::tensor::{Device, Tensor};
use burn_kernels::layer::linear_onto;
use burn_kernels::{Heads, RelativeTables, self_attention};

use super::positions::relative_positions;
use crate::SamConfig;
use crate::nn::{cut_windows, join_windows, project_whole_windows};

/// Self-attention with decomposed relative positions.
#[derive(Module, Debug)]
pub struct Attention {
    /// Query, key and value of every head: Burn's layout `[embed_dim, 3 * embed_dim]`, columns ordered
    /// (query | key | value), each (head, head_dim).
    pub qkv: Linear,
    /// The output projection.
    pub proj: Linear,
    /// Relative positions of rows, `[2 * side - 1, head_dim]`; absent in [`SamVariant::Paper`](crate::SamVariant).
    pub rel_pos_h: Option<Param<Tensor<2>>>,
    /// Relative positions of columns, as `rel_pos_h`.
    pub rel_pos_w: Option<Param<Tensor<2>>>,
    num_heads: usize,
    window_size: usize,
}

impl Attention {
    pub(crate) fn new(config: &SamConfig, index: usize, device: &Device) -> Self {
        let width = config.embed_dim;
        let window_size = config.block_window(index);
        let side = if window_size == 0 { config.grid_size() } else { window_size };
        let table = || {
            config
                .uses_relative_positions()
                .then(|| Initializer::Zeros.init([2 * side - 1, width / config.num_heads], device))
        };
        Self {
            qkv: LinearConfig::new(width, 3 * width).init(device),
            proj: LinearConfig::new(width, width).init(device),
            rel_pos_h: table(),
            rel_pos_w: table(),
            num_heads: config.num_heads,
            window_size,
        }
    }

    /// The attention of `x [N, h, w, embed_dim]`, added to a residual connection of the same shape. The output projection sees only the cells
    /// that are kept.
    pub fn forward_onto(&self, x: Tensor<4>, residual: Tensor<4>) -> Tensor<4> {
        let [n, height, width, channels] = x.dims();
        let window = match self.window_size {
            0 => [height, width],
            side => [side, side],
        };
        let [rows, columns] = window;
        let qkv = project_whole_windows(&self.qkv, x, window);
        let [_, whole_height, whole_width, _] = qkv.dims();
        let relative = self.rel_pos_h.as_ref().zip(self.rel_pos_w.as_ref()).map(|(by_row, by_column)| RelativeTables {
            by_row: relative_positions(by_row.val(), rows),
            by_column: relative_positions(by_column.val(), columns),
        });
        let heads = Heads { count: self.num_heads, grid: Some(window) };
        let out = self_attention(cut_windows(qkv, window), heads, relative);
        let out = join_windows(out, [n, whole_height, whole_width, channels], window, [height, width]);
        linear_onto(&self.proj, out, residual)
    }
}
