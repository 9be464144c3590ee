//! The neck: from the transformer's width to the embedding's channels.

use burn::nn::PaddingConfig2d;
use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::tensor::{Device, Tensor};
use burn_kernels::layer::conv2d;
use burn_kernels::permute;

use crate::nn::{LayerNorm, pointwise_convolution};

/// Convolution 1x1, channel norm, convolution 3x3, channel norm; the convolutions have no bias.
///
/// The places in the tuple are the indices of the checkpoint's keys (`neck.0` to `neck.3`).
pub type Neck = (Conv2d, LayerNorm, Conv2d, LayerNorm);

/// Epsilon of every norm over the channels of a map.
const CHANNEL_NORM_EPSILON: f64 = 1e-6;

pub(super) fn new_neck(embed_dim: usize, channels: usize, device: &Device) -> Neck {
    (
        Conv2dConfig::new([embed_dim, channels], [1, 1]).with_bias(false).init(device),
        LayerNorm::new(channels, CHANNEL_NORM_EPSILON, device),
        Conv2dConfig::new([channels, channels], [3, 3])
            .with_padding(PaddingConfig2d::Explicit(1, 1, 1, 1))
            .with_bias(false)
            .init(device),
        LayerNorm::new(channels, CHANNEL_NORM_EPSILON, device),
    )
}

/// `[N, h, w, embed_dim]` to `[N, channels, h, w]`.
pub(super) fn neck_forward(neck: &Neck, x: Tensor<4>) -> Tensor<4> {
    let [n, height, width, channels] = x.dims();
    let x = pointwise_convolution(&neck.0, x.reshape([n * height * width, channels]));
    let [_, out] = x.dims();
    let x = neck.1.forward(x).reshape([n, height, width, out]);
    let x = conv2d(&neck.2, permute(x, [0, 3, 1, 2]));
    permute(neck.3.forward(permute(x, [0, 2, 3, 1])), [0, 3, 1, 2])
}
