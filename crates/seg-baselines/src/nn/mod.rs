//! Layers that Burn does not have, or has with other arithmetic than the reference packages.

mod conv;
mod draws;
mod norm;
mod prelu;
mod resize;

pub(crate) use conv::{Conv, conv, transposed_conv};
pub use draws::Draws;
pub(crate) use draws::{drop_path, dropout};
pub use norm::BatchNorm;
pub(crate) use norm::{ChannelNorm, LayerNorm, instance_norm};
pub(crate) use prelu::PRelu;
pub(crate) use resize::{Corners, bilinear_resize, enlarge_nearest};

use burn::module::Module;
use burn::nn::conv::Conv2d;
use burn::tensor::activation::relu;
use burn::tensor::{Device, Tensor};
use burn_kernels::layer::conv2d;

/// Convolution and batch norm, with or without the ReLU that usually follows.
#[derive(Module, Debug)]
pub(crate) struct ConvNorm {
    pub(crate) conv: Conv2d,
    pub(crate) norm: BatchNorm,
}

impl ConvNorm {
    pub(crate) fn new(conv: Conv2d, width: usize, device: &Device) -> Self {
        Self { conv, norm: BatchNorm::new(width, device) }
    }

    pub(crate) fn forward(&self, map: Tensor<4>) -> Tensor<4> {
        self.norm.forward(conv2d(&self.conv, map))
    }

    pub(crate) fn forward_relu(&self, map: Tensor<4>) -> Tensor<4> {
        relu(self.forward(map))
    }
}

/// A depthwise 3x3 convolution followed by a pointwise one, without biases.
#[derive(Module, Debug)]
pub(crate) struct SeparableConv {
    pub(crate) depthwise: Conv2d,
    pub(crate) pointwise: Conv2d,
    pub(crate) norm: BatchNorm,
}

impl SeparableConv {
    pub(crate) fn new(from: usize, to: usize, rate: usize, device: &Device) -> Self {
        Self {
            depthwise: conv(Conv { dilation: rate, groups: from, bias: false, ..Conv::k3(from, from) }, device),
            pointwise: conv(Conv { bias: false, ..Conv::k1(from, to) }, device),
            norm: BatchNorm::new(to, device),
        }
    }

    /// Both convolutions, batch norm, ReLU.
    pub(crate) fn forward(&self, map: Tensor<4>) -> Tensor<4> {
        relu(self.norm.forward(conv2d(&self.pointwise, conv2d(&self.depthwise, map))))
    }
}
