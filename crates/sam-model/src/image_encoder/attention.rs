//! Multi-head self-attention over a grid of patches, in windows or over the whole grid.

use burn::module::{Module, Param};
use burn::nn::Initializer;
use burn::nn::{Linear, LinearConfig};
use burn::tensor::module::linear;
use burn::tensor::{Device, Tensor};

use super::positions::relative_positions;
use crate::SamConfig;
use crate::nn::{attention, relative_bias_columns};

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
        let heads = self.num_heads;
        let head_dim = channels / heads;
        let windows = self.windows(height, width);
        let [rows, columns] = windows.size;
        let tokens = rows * columns;
        let groups = n * windows.count[0] * windows.count[1] * heads;

        let [query, key, value] = self.project(x, windows).map(|part| {
            part.reshape([n, windows.count[0], rows, windows.count[1], columns, heads, head_dim])
                .permute([0, 1, 3, 5, 2, 4, 6])
                .reshape([groups, tokens, head_dim])
        });

        let scale = (head_dim as f64).powf(-0.5);
        let out = match (&self.rel_pos_h, &self.rel_pos_w) {
            (Some(by_row), Some(by_column)) => {
                let bias = relative_biases(query.clone(), windows.size, by_row.val(), by_column.val());
                let onehot = relative_bias_columns(rows, columns, &key.device()).unsqueeze::<3>().expand([
                    groups,
                    tokens,
                    rows + columns,
                ]);
                let query = Tensor::cat(vec![query * scale, bias], 2);
                attention(query, Tensor::cat(vec![key, onehot], 2), value)
            }
            _ => attention(query * scale, key, value),
        };

        let out = out
            .reshape([n, windows.count[0], windows.count[1], heads, rows, columns, head_dim])
            .permute([0, 1, 4, 2, 5, 3, 6])
            .reshape([n, windows.count[0] * rows, windows.count[1] * columns, channels]);
        let out = if out.dims() == [n, height, width, channels] {
            out
        } else {
            out.slice([0..n, 0..height, 0..width, 0..channels])
        };
        self.proj.forward(out.reshape([n * height * width, channels])).reshape([n, height, width, channels])
    }

    fn windows(&self, height: usize, width: usize) -> Windows {
        match self.window_size {
            0 => Windows { size: [height, width], count: [1, 1] },
            side => Windows { size: [side, side], count: [height.div_ceil(side), width.div_ceil(side)] },
        }
    }

    /// Query, key and value of every token, padded to whole windows: three of `[N, h', w', embed_dim]`.
    ///
    /// Three products with slices of the weight instead of one whose result is sliced: the gradient of a slice is a
    /// tensor of the full size filled with zeros, which is small for the weight and large for the activations.
    fn project(&self, x: Tensor<4>, windows: Windows) -> [Tensor<4>; 3] {
        let [n, height, width, channels] = x.dims();
        let padding = [windows.count[0] * windows.size[0] - height, windows.count[1] * windows.size[1] - width];
        let flat = x.reshape([n * height * width, channels]);
        let weight = self.qkv.weight.val();
        let bias = self.qkv.bias.as_ref().map(|bias| bias.val());
        std::array::from_fn(|index| {
            let weight = weight.clone().narrow(1, index * channels, channels);
            let bias = bias.clone().map(|bias| bias.narrow(0, index * channels, channels));
            if padding == [0, 0] {
                return linear(flat.clone(), weight, bias).reshape([n, height, width, channels]);
            }
            let part = linear(flat.clone(), weight, None)
                .reshape([n, height, width, channels])
                .pad([(0, 0), (0, padding[0]), (0, padding[1]), (0, 0)], 0.0f32);
            match bias {
                Some(bias) => part + bias.unsqueeze::<4>(),
                None => part,
            }
        })
    }
}

/// The biases of every query: `[groups, tokens, rows + columns]`, from the unscaled `query` `[groups, tokens, head_dim]`.
fn relative_biases(
    query: Tensor<3>,
    [rows, columns]: [usize; 2],
    by_row: Tensor<2>,
    by_column: Tensor<2>,
) -> Tensor<3> {
    let [groups, tokens, head_dim] = query.dims();
    let query = query.reshape([groups, rows, columns, head_dim]);
    let row_table = relative_positions(by_row, rows).swap_dims(1, 2).unsqueeze::<4>();
    let column_table = relative_positions(by_column, columns).swap_dims(1, 2).unsqueeze::<4>();
    let row_bias = query.clone().matmul(row_table);
    let column_bias = query.swap_dims(1, 2).matmul(column_table).swap_dims(1, 2);
    Tensor::cat(vec![row_bias, column_bias], 3).reshape([groups, tokens, rows + columns])
}
