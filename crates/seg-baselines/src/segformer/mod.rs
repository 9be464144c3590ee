//! SegFormer (Xie et al., 2021): features of several strides, each mapped by a linear layer, joined and classified at a quarter
//! of the resolution. On its own encoder, the Mix Transformer ([`SegFormerConfig`]), and on a ResNet
//! ([`SegFormerResNetConfig`]), as segmentation-models-pytorch also offers it.

mod keys;
mod mit;
mod on_resnet;

pub(crate) use mit::{SMALLEST_SIDE, SegFormer};
pub use mit::{SegFormerConfig, SegFormerFlavour};
pub(crate) use on_resnet::SegFormerResNet;
pub use on_resnet::SegFormerResNetConfig;

use burn::nn::Linear;
use burn::tensor::Tensor;
use burn_kernels::{layer, permute};

/// A linear layer over the channels of every pixel of `[N, C, H, W]`.
fn per_pixel(linear: &Linear, map: Tensor<4>) -> Tensor<4> {
    let [batch, channels, height, width] = map.dims();
    let rows = permute(map.reshape([batch, channels, height * width]), [0, 2, 1]);
    let mapped = layer::linear(linear, rows);
    let [_, _, to] = mapped.dims();
    permute(mapped, [0, 2, 1]).reshape([batch, to, height, width])
}
