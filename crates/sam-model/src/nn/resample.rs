//! Resampling as multiplication by small constant matrices.
//!
//! Every separable resampling (pooling, bilinear, bicubic) of a map is `rows . map . columns^T`. Written so, it runs as a matrix
//! product on every backend, its gradient is exact, and one function builds all the kernels.

use burn::tensor::{Device, Tensor, TensorData};

/// A one-dimensional resampling kernel, with the conventions of PyTorch (`align_corners = False`, no antialiasing).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Resample {
    /// Mean over `floor(i * from / to) .. ceil((i + 1) * from / to)`.
    AdaptiveAverage,
    /// Two taps.
    Linear,
    /// Four taps, a = -0.75.
    Cubic,
}

/// The `to x from` matrix that resamples a signal of `from` samples to `to`, row-major.
pub(crate) fn resample_matrix(kind: Resample, from: usize, to: usize) -> Vec<f32> {
    let mut matrix = vec![0f32; from * to];
    let last = from as isize - 1;
    for i in 0..to {
        let row = &mut matrix[i * from..(i + 1) * from];
        match kind {
            Resample::AdaptiveAverage => {
                let start = i * from / to;
                let end = ((i + 1) * from).div_ceil(to);
                row[start..end].fill(1.0 / (end - start) as f32);
            }
            Resample::Linear => {
                let centre = ((i as f64 + 0.5) * from as f64 / to as f64 - 0.5).max(0.0);
                let low = (centre.floor() as usize).min(from - 1);
                let high = (low + 1).min(from - 1);
                let fraction = centre - low as f64;
                row[low] += (1.0 - fraction) as f32;
                row[high] += fraction as f32;
            }
            Resample::Cubic => {
                let centre = (i as f64 + 0.5) * from as f64 / to as f64 - 0.5;
                let low = centre.floor();
                for tap in -1..=2isize {
                    let index = (low as isize + tap).clamp(0, last) as usize;
                    row[index] += cubic_weight(centre - (low + tap as f64)) as f32;
                }
            }
        }
    }
    matrix
}

/// Keys' cubic convolution with a = -0.75.
fn cubic_weight(distance: f64) -> f64 {
    const A: f64 = -0.75;
    let d = distance.abs();
    if d <= 1.0 {
        ((A + 2.0) * d - (A + 3.0)) * d * d + 1.0
    } else if d < 2.0 {
        ((A * d - 5.0 * A) * d + 8.0 * A) * d - 4.0 * A
    } else {
        0.0
    }
}

fn matrix_tensor(kind: Resample, from: usize, to: usize, device: &Device) -> Tensor<2> {
    Tensor::from_data(TensorData::new(resample_matrix(kind, from, to), [to, from]), device)
}

/// Linear interpolation of the rows of `[from, width]` to `[to, width]`.
pub(crate) fn resize_rows_linear(table: Tensor<2>, to: usize) -> Tensor<2> {
    let [from, _] = table.dims();
    if from == to {
        return table;
    }
    let matrix = matrix_tensor(Resample::Linear, from, to, &table.device());
    matrix.matmul(table)
}

/// Bilinear resampling of `[N, C, h, w]` to `[N, C, height, width]`, pixel centres aligned.
pub(crate) fn bilinear_resize(map: Tensor<4>, [height, width]: [usize; 2]) -> Tensor<4> {
    let [n, c, h, w] = map.dims();
    if [h, w] == [height, width] {
        return map;
    }
    let device = map.device();
    let map = map.reshape([n * c, h, w]);
    let map = if h == height {
        map
    } else {
        matrix_tensor(Resample::Linear, h, height, &device).unsqueeze::<3>().matmul(map)
    };
    let map = if w == width {
        map
    } else {
        let columns = matrix_tensor(Resample::Linear, w, width, &device).transpose();
        map.reshape([n * c * height, w]).matmul(columns).reshape([n * c, height, width])
    };
    map.reshape([n, c, height, width])
}

/// Resampling of a channels-last map `[1, h, w, C]` to `[1, height, width, C]`.
pub(crate) fn resize_positions(map: Tensor<4>, kinds: [Resample; 2], [height, width]: [usize; 2]) -> Tensor<4> {
    let [_, h, w, c] = map.dims();
    let device = map.device();
    let map = if h == height {
        map.reshape([h, w * c])
    } else {
        matrix_tensor(kinds[0], h, height, &device).matmul(map.reshape([h, w * c]))
    };
    let map = map.reshape([height, w, c]);
    let map = if w == width { map } else { matrix_tensor(kinds[1], w, width, &device).unsqueeze::<3>().matmul(map) };
    map.reshape([1, height, width, c])
}
