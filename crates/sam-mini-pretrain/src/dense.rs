//! The direct task of pre-training: every pixel's answer from the encoder's features alone.

use crate::scenes::Draws;
use burn::module::{Module, Param};
use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::tensor::{Device, Tensor, TensorData};
use sam_model::{ImageFeatures, SamConfig};

/// A 1x1 convolution for each map that the encoder hands on, whose channels are the pixels of a cell of that map; the answers are added.
///
/// SAM has one map, the embedding. SAM 2 has two finer ones beside it, which only its first stages make: each level then has a
/// task from the first step on.
#[derive(Module, Debug)]
pub(crate) struct DenseHead {
    /// `[N, C, h, w]` to `[N, patch * patch, h, w]`; the embedding first, then the finer maps, the finer one of the two last.
    levels: Vec<Conv2d>,
}

impl DenseHead {
    /// Uniform weights that follow from `draws`, no bias.
    pub(crate) fn new(config: &SamConfig, draws: &mut Draws, device: &Device) -> Self {
        let (channels, patch) = (config.output_channels, config.patch_size);
        let mut level = |channels: usize, pixels: usize| {
            let mut conv = Conv2dConfig::new([channels, pixels], [1, 1]).init(device);
            let reach = (channels as f32).recip().sqrt();
            let weight: Vec<f32> = (0..channels * pixels).map(|_| draws.within(-reach, reach)).collect();
            let weight = TensorData::new(weight, [pixels, channels, 1, 1]);
            conv.weight = Param::from_tensor(Tensor::from_data(weight, device));
            conv.bias = Some(Param::from_tensor(Tensor::zeros([pixels], device)));
            conv
        };
        let mut levels = vec![level(channels, patch * patch)];
        if config.is_sam2() {
            levels.push(level(channels / 4, patch * patch / 4));
            levels.push(level(channels / 8, patch * patch / 16));
        }
        Self { levels }
    }

    /// Features of `N` images to logits `[N, 1, S, S]`.
    pub(crate) fn forward(&self, features: ImageFeatures) -> Tensor<4> {
        let ImageFeatures { embedding, high_resolution } = features;
        let finer = high_resolution.into_iter().flat_map(|[finest, finer]| [finer, finest]);
        let answer = |(conv, map): (&Conv2d, Tensor<4>)| pixels(conv.forward(map));
        let (first, rest) = (answer((&self.levels[0], embedding)), self.levels[1..].iter().zip(finer));
        rest.map(answer).fold(first, |sum, logits| sum + logits)
    }
}

/// `[N, side * side, h, w]` to `[N, 1, h * side, w * side]`: the channels of a cell become its pixels.
fn pixels(cells: Tensor<4>) -> Tensor<4> {
    let [count, channels, height, width] = cells.dims();
    let side = channels.isqrt();
    cells.reshape([count, side, side, height, width]).permute([0, 3, 1, 4, 2]).reshape([
        count,
        1,
        height * side,
        width * side,
    ])
}
