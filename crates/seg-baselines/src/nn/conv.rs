//! Convolutions in the few forms that these networks use.

use burn::nn::PaddingConfig2d;
use burn::nn::conv::{Conv2d, Conv2dConfig, ConvTranspose2d, ConvTranspose2dConfig};
use burn::tensor::Device;

/// A square convolution that keeps the size at stride 1.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Conv {
    pub(crate) from: usize,
    pub(crate) to: usize,
    pub(crate) kernel: usize,
    pub(crate) stride: usize,
    pub(crate) dilation: usize,
    pub(crate) groups: usize,
    pub(crate) bias: bool,
}

impl Conv {
    /// 1x1, with bias.
    pub(crate) fn k1(from: usize, to: usize) -> Self {
        Self { from, to, kernel: 1, stride: 1, dilation: 1, groups: 1, bias: true }
    }

    /// 3x3, with bias.
    pub(crate) fn k3(from: usize, to: usize) -> Self {
        Self { kernel: 3, ..Self::k1(from, to) }
    }
}

/// Pads with `dilation * (kernel - 1) / 2` zeros on every side.
pub(crate) fn conv(conv: Conv, device: &Device) -> Conv2d {
    let padding = conv.dilation * (conv.kernel - 1) / 2;
    Conv2dConfig::new([conv.from, conv.to], [conv.kernel; 2])
        .with_stride([conv.stride; 2])
        .with_dilation([conv.dilation; 2])
        .with_groups(conv.groups)
        .with_padding(PaddingConfig2d::Explicit(padding, padding, padding, padding))
        .with_bias(conv.bias)
        .init(device)
}

/// A transposed convolution that doubles the size exactly: kernel 3 with overlap, or kernel 2 without.
pub(crate) fn transposed_conv(from: usize, to: usize, kernel: usize, bias: bool, device: &Device) -> ConvTranspose2d {
    let padding = kernel / 3;
    ConvTranspose2dConfig::new([from, to], [kernel; 2])
        .with_stride([2; 2])
        .with_padding([padding; 2])
        .with_padding_out([padding; 2])
        .with_bias(bias)
        .init(device)
}
