//! Scaled dot-product attention with decomposed relative positions, written for few passes over the score matrix.
//!
//! SAM adds two biases to the scores: one per (query, key row) and one per (query, key column). Instead of broadcasting both
//! over the full score matrix, the biases are appended to the queries and one-hot rows and columns to the keys, so that the
//! product of queries and keys already holds the biased scores:
//!
//! `[scale * q | bias_rows | bias_columns] . [k | onehot(row) | onehot(column)]`
//!
//! The sum is the same up to the order of additions.

use burn::tensor::module::attention as fused_attention;
use burn::tensor::ops::AttentionModuleOptions;
use burn::tensor::{Device, Tensor, TensorData};

/// `softmax(query . key^T) . value` for `[groups, tokens, width]` tensors. The scale is expected to be in `query` already.
///
/// Without gradients, Burn's fused kernel does the work. With them, the scores are written once, exponentiated once, and
/// the row sums come out of the product with the values (a column of ones), so that neither pass of the division by the
/// sum ever touches the score matrix. Both are the stable softmax that subtracts the row maximum.
pub(crate) fn attention(query: Tensor<3>, key: Tensor<3>, value: Tensor<3>) -> Tensor<3> {
    let tracked = query.is_tracked() || key.is_tracked() || value.is_tracked();
    if !tracked {
        let options = AttentionModuleOptions { scale: Some(1.0), ..Default::default() };
        return fused_attention(query.unsqueeze(), key.unsqueeze(), value.unsqueeze(), None, None, options)
            .squeeze_dim(0);
    }
    let [groups, tokens, width] = value.dims();
    let scores = query.matmul(key.swap_dims(1, 2));
    let maximum = scores.clone().detach().max_dim(2);
    let weights = (scores - maximum).exp();
    let ones = Tensor::ones([groups, tokens, 1], &value.device());
    let sums = weights.matmul(Tensor::cat(vec![value, ones], 2));
    let normaliser = sums.clone().narrow(2, width, 1);
    sums.narrow(2, 0, width) / normaliser
}

/// The one-hot key columns of a `rows x columns` grid: `[rows * columns, rows + columns]`.
pub(crate) fn relative_bias_columns(rows: usize, columns: usize, device: &Device) -> Tensor<2> {
    let width = rows + columns;
    let mut data = vec![0f32; rows * columns * width];
    for row in 0..rows {
        for column in 0..columns {
            let start = (row * columns + column) * width;
            data[start + row] = 1.0;
            data[start + rows + column] = 1.0;
        }
    }
    Tensor::from_data(TensorData::new(data, [rows * columns, width]), device)
}
