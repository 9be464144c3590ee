//! Multi-head self-attention over a grid of patches, in windows or over the whole grid.

use burn::module::{Module, Param};
use burn::nn::Initializer;
use burn::nn::{Linear, LinearConfig};
use burn::tensor::{Device, Tensor};
use burn_kernels::layer::linear;
use burn_kernels::{Heads, RelativeTables, self_attention};

use super::positions::relative_positions;
use crate::SamConfig;

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

/// How a `[height, width]` grid is cut into windows.
#[derive(Debug, Clone, Copy)]
struct Windows {
    /// Height and width of one window.
    size: [usize; 2],
    /// Windows per column and per row of windows.
    count: [usize; 2],
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

    /// `[N, h, w, embed_dim]` to the same shape.
    ///
    /// Windows that stick out over the grid are padded with zeros *before* the query-key-value projection in the original;
    /// the projection of a zero is the bias, so projecting first and padding with the bias gives the same result with
    /// fewer rows. The output projection likewise only sees the rows that are kept.
    pub fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let [n, height, width, channels] = x.dims();
        let windows = self.windows(height, width);
        let [rows, columns] = windows.size;
        let [down, across] = windows.count;
        let qkv = self.project(x, windows);
        let qkv = match windows.count {
            [1, 1] => qkv,
            _ => qkv.reshape([n, down, rows, across, columns, 3 * channels]).permute([0, 1, 3, 2, 4, 5]).reshape([
                n * down * across,
                rows,
                columns,
                3 * channels,
            ]),
        };
        let relative = self.rel_pos_h.as_ref().zip(self.rel_pos_w.as_ref()).map(|(by_row, by_column)| RelativeTables {
            by_row: relative_positions(by_row.val(), rows),
            by_column: relative_positions(by_column.val(), columns),
        });
        let heads = Heads { count: self.num_heads, grid: Some(windows.size) };
        let out = self_attention(qkv.reshape([n * down * across, rows * columns, 3 * channels]), heads, relative);
        let out = match windows.count {
            [1, 1] => out.reshape([n, rows, columns, channels]),
            _ => out.reshape([n, down, across, rows, columns, channels]).permute([0, 1, 3, 2, 4, 5]).reshape([
                n,
                down * rows,
                across * columns,
                channels,
            ]),
        };
        let out = if out.dims() == [n, height, width, channels] {
            out
        } else {
            out.slice([0..n, 0..height, 0..width, 0..channels])
        };
        linear(&self.proj, out)
    }

    fn windows(&self, height: usize, width: usize) -> Windows {
        match self.window_size {
            0 => Windows { size: [height, width], count: [1, 1] },
            side => Windows { size: [side, side], count: [height.div_ceil(side), width.div_ceil(side)] },
        }
    }

    /// Query, key and value of every token, padded to whole windows: `[N, h', w', 3 * embed_dim]`.
    fn project(&self, x: Tensor<4>, windows: Windows) -> Tensor<4> {
        let [_, height, width, _] = x.dims();
        let padding = [windows.count[0] * windows.size[0] - height, windows.count[1] * windows.size[1] - width];
        let qkv = linear(&self.qkv, x);
        match &self.qkv.bias {
            _ if padding == [0, 0] => qkv,
            None => qkv.pad([(0, 0), (0, padding[0]), (0, padding[1]), (0, 0)], 0.0f32),
            Some(bias) => pad_with(qkv, bias.val(), padding),
        }
    }
}

/// `[N, h, w, C]` with `padding` more rows below and columns to the right, each of them `value [C]`.
fn pad_with(map: Tensor<4>, value: Tensor<1>, [rows, columns]: [usize; 2]) -> Tensor<4> {
    let [n, height, width, channels] = map.dims();
    let value: Tensor<4> = value.unsqueeze();
    let block = |height: usize, width: usize| value.clone().expand([n, height, width, channels]);
    let map = if columns == 0 { map } else { Tensor::cat(vec![map, block(height, columns)], 2) };
    if rows == 0 { map } else { Tensor::cat(vec![map, block(rows, width + columns)], 1) }
}
