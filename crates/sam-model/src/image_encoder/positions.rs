//! How positions follow an input size that differs from the native one.

use burn::tensor::{Device, Int, Tensor, TensorData};

use crate::PositionResize;
use crate::nn::{Resample, resize_positions, resize_rows_linear};

/// Absolute positions `[1, g, g, C]` for a `[height, width]` grid.
pub(crate) fn resized_positions(positions: Tensor<4>, grid: [usize; 2], resize: PositionResize) -> Tensor<4> {
    let [_, height, width, _] = positions.dims();
    if [height, width] == grid {
        return positions;
    }
    let kind = |from: usize, to: usize| match resize {
        PositionResize::Pool if to < from => Resample::AdaptiveAverage,
        PositionResize::Pool | PositionResize::Bilinear => Resample::Linear,
        PositionResize::Bicubic => Resample::Cubic,
    };
    resize_positions(positions, [kind(height, grid[0]), kind(width, grid[1])], grid)
}

/// The relative positions of every (query, key) pair along one axis of `size` patches: `[size, size, head_dim]`, from a
/// table of `2 * native - 1` offsets. A table of another length is interpolated linearly to `2 * size - 1`.
pub(super) fn relative_positions(table: Tensor<2>, size: usize) -> Tensor<3> {
    let [_, head_dim] = table.dims();
    let device = table.device();
    resize_rows_linear(table, 2 * size - 1).select(0, offsets(size, &device)).reshape([size, size, head_dim])
}

/// `query - key + size - 1` for every pair, flattened.
fn offsets(size: usize, device: &Device) -> Tensor<1, Int> {
    let data: Vec<i32> =
        (0..size).flat_map(|query| (0..size).map(move |key| (query + size - 1 - key) as i32)).collect();
    Tensor::from_data(TensorData::new(data, [size * size]), device)
}
