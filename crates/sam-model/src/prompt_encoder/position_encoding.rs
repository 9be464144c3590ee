//! Random Fourier features of positions.

use burn::module::{Module, Param};
use burn::nn::Initializer;
use burn::tensor::{Device, Tensor, TensorData};
use std::f64::consts::TAU;

/// Positions in the unit square, projected on random frequencies: `[sin | cos]` of `2 pi (2 p - 1) G`.
#[derive(Module, Debug)]
pub struct PositionEncoding {
    /// The frequencies G, `[2, C / 2]`, standard normal. A buffer: not trained, but part of the checkpoint.
    pub positional_encoding_gaussian_matrix: Param<Tensor<2>>,
}

impl PositionEncoding {
    pub(crate) fn new(channels: usize, device: &Device) -> Self {
        let frequencies = Initializer::Normal { mean: 0.0, std: 1.0 };
        Self {
            positional_encoding_gaussian_matrix: frequencies.init([2, channels / 2], device).set_require_grad(false),
        }
    }

    /// `[N, P, 2]` positions (x, y) in pixels of an input of `input_size` (height, width) to `[N, P, C]`.
    pub fn encode(&self, positions: Tensor<3>, [height, width]: [usize; 2]) -> Tensor<3> {
        let scale = TensorData::new(vec![2.0 / width as f32, 2.0 / height as f32], [1, 1, 2]);
        let scale = Tensor::from_data(scale, &positions.device());
        self.features(positions * scale - 1.0)
    }

    /// Every cell centre of a grid, row by row: `[1, height * width, C]`.
    pub(super) fn grid(&self, [height, width]: [usize; 2]) -> Tensor<3> {
        let centre = |index: usize, count: usize| 2.0 * (index as f32 + 0.5) / count as f32 - 1.0;
        let data: Vec<f32> = (0..height)
            .flat_map(|row| (0..width).flat_map(move |column| [centre(column, width), centre(row, height)]))
            .collect();
        let device = self.positional_encoding_gaussian_matrix.lazy_device();
        self.features(Tensor::from_data(TensorData::new(data, [1, height * width, 2]), &device))
    }

    /// Positions in `-1..1`, `[N, P, 2]`, to `[N, P, C]`.
    fn features(&self, positions: Tensor<3>) -> Tensor<3> {
        let matrix = self.positional_encoding_gaussian_matrix.val().unsqueeze::<3>();
        let phase = positions.matmul(matrix) * TAU;
        Tensor::cat(vec![phase.clone().sin(), phase.cos()], 2)
    }
}
