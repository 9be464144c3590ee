//! A map cut into windows, and put together again.

use burn::nn::Linear;
use burn::tensor::Tensor;
use burn_kernels::layer::linear;
use burn_kernels::permute;

/// `layer` on every cell of `[N, h, w, in]`, with as many more rows and columns as whole windows of these sides need:
/// `[N, h', w', out]`.
///
/// In the originals windows that stick out over the grid are padded with zeros *before* the projection; the projection of a zero is
/// the bias, so projecting first and padding with the bias gives the same result with fewer rows.
pub(crate) fn project_whole_windows(layer: &Linear, x: Tensor<4>, [rows, columns]: [usize; 2]) -> Tensor<4> {
    let [_, height, width, _] = x.dims();
    let padding = [height.next_multiple_of(rows) - height, width.next_multiple_of(columns) - width];
    let y = linear(layer, x);
    match &layer.bias {
        _ if padding == [0, 0] => y,
        None => y.pad([(0, 0), (0, padding[0]), (0, padding[1]), (0, 0)], 0.0f32),
        Some(bias) => pad_with(y, bias.val(), padding),
    }
}

/// `[N, h, w, C]` with `rows` more rows below and `columns` to the right, each cell of them `value [C]`.
fn pad_with(map: Tensor<4>, value: Tensor<1>, [rows, columns]: [usize; 2]) -> Tensor<4> {
    let [n, height, width, channels] = map.dims();
    let value: Tensor<4> = value.unsqueeze();
    let block = |height: usize, width: usize| value.clone().expand([n, height, width, channels]);
    let map = if columns == 0 { map } else { Tensor::cat(vec![map, block(height, columns)], 2) };
    if rows == 0 { map } else { Tensor::cat(vec![map, block(rows, width + columns)], 1) }
}

/// `[N, h, w, C]` to `[N * windows, rows * columns, C]`; the sides are multiples of the window's.
pub(crate) fn cut_windows(map: Tensor<4>, [rows, columns]: [usize; 2]) -> Tensor<3> {
    let [n, height, width, channels] = map.dims();
    let (down, across) = (height / rows, width / columns);
    let map = match [down, across] {
        [1, 1] => return map.reshape([n, rows * columns, channels]),
        _ => permute(map.reshape([n, down, rows, across, columns, channels]), [0, 1, 3, 2, 4, 5]),
    };
    map.reshape([n * down * across, rows * columns, channels])
}

/// The way back from [`cut_windows`] to a map of `dims`, of which only `[height, width]` are kept.
pub(crate) fn join_windows(
    windows: Tensor<3>,
    dims: [usize; 4],
    [rows, columns]: [usize; 2],
    [height, width]: [usize; 2],
) -> Tensor<4> {
    let [n, whole_height, whole_width, channels] = dims;
    let (down, across) = (whole_height / rows, whole_width / columns);
    let map = match [down, across] {
        [1, 1] => windows.reshape(dims),
        _ => permute(windows.reshape([n, down, across, rows, columns, channels]), [0, 1, 3, 2, 4, 5]).reshape(dims),
    };
    if [whole_height, whole_width] == [height, width] { map } else { map.slice([0..n, 0..height, 0..width]) }
}
