//! Stored parameters read as matrices.

use crate::config::Layout;
use burn::tensor::Tensor;

/// Rows and columns of a stored parameter read as a matrix.
pub(crate) fn matrix_shape(shape: &[usize]) -> [usize; 2] {
    match shape {
        [] => [1, 1],
        [first, rest @ ..] => [*first, rest.iter().product()],
    }
}

/// Outputs and inputs of a stored parameter.
pub(crate) fn outputs_inputs(layout: Layout, shape: &[usize]) -> [usize; 2] {
    let [rows, columns] = matrix_shape(shape);
    match layout {
        Layout::OutIn => [rows, columns],
        Layout::InOut => [columns, rows],
    }
}

/// `left [out, d]` times `right [d, in]` in the order in which the weight is stored.
pub(crate) fn stored_product(layout: Layout, left: Tensor<2>, right: Tensor<2>) -> Tensor<2> {
    match layout {
        Layout::OutIn => left.matmul(right),
        Layout::InOut => right.transpose().matmul(left.transpose()),
    }
}

/// Row by row, a matrix `[rows, columns]` as `[columns, rows]`.
pub(crate) fn transpose(values: &[f32], rows: usize, columns: usize) -> Vec<f32> {
    let mut out = Vec::with_capacity(values.len());
    for column in 0..columns {
        out.extend((0..rows).map(|row| values[row * columns + column]));
    }
    out
}
