//! SegFormer's head on a ResNet, the network whose parameter count is the published one.

use burn::module::Module;
use burn::nn::conv::Conv2d;
use burn::nn::{Linear, LinearConfig};
use burn::tensor::{Device, Tensor};
use burn_kernels::layer::conv2d;
use serde::{Deserialize, Serialize};

use super::per_pixel;
use crate::BaselineError;
use crate::checkpoint::Key;
use crate::config::{positive, statistics};
use crate::init::Rule;
use crate::nn::{Conv, ConvNorm, Corners, bilinear_resize, conv};
use crate::resnet::{RESNET_RULE, ResNet, ResNetConfig, resnet_key};

/// Sides have to be multiples of the encoder's stride.
const STRIDE: usize = 32;

/// The shape of a SegFormer on a ResNet, `Segformer("resnet101")` of segmentation-models-pytorch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SegFormerResNetConfig {
    /// The encoder. Default: ResNet-101.
    pub encoder: ResNetConfig,
    /// Channels of the head. Default: 256.
    pub decoder_channels: usize,
}

impl Default for SegFormerResNetConfig {
    fn default() -> Self {
        Self { encoder: ResNetConfig::resnet101(), decoder_channels: 256 }
    }
}

impl SegFormerResNetConfig {
    pub(crate) fn validate(&self) -> Result<(), BaselineError> {
        self.encoder.validate()?;
        positive("decoder_channels", self.decoder_channels)
    }

    pub(crate) fn multiple(&self) -> usize {
        STRIDE
    }

    pub(crate) fn check(&self, batch: usize, size: [usize; 2], training: bool) -> Result<(), BaselineError> {
        let deepest = size.map(|side| side / STRIDE);
        let layer = "batch norm of the encoder's last stage";
        if training { statistics("segformer-resnet", layer, batch, deepest, size) } else { Ok(()) }
    }

    /// The name of a parameter in the state dict of segmentation-models-pytorch.
    pub(crate) fn key(&self, path: &[&str]) -> Option<Key> {
        Some(Key::plain(match path {
            ["encoder", rest @ ..] => format!("encoder.{}", resnet_key(rest)?),
            ["linear", i, end] => format!("decoder.mlp_stage.{i}.linear.{end}"),
            ["fuse", "conv", end] => format!("decoder.fuse_stage.0.{end}"),
            ["fuse", "norm", end] => format!("decoder.fuse_stage.1.{end}"),
            ["head", end] => format!("segmentation_head.0.{end}"),
            _ => return None,
        }))
    }

    /// torchvision's in the encoder; Kaiming uniform for the decoder's convolution, Xavier uniform for linear layers and the
    /// head, biases zero.
    pub(crate) fn rule(&self, path: &[&str]) -> Rule {
        match path {
            ["encoder", ..] => RESNET_RULE,
            [.., "bias"] => Rule::Zero,
            ["fuse", ..] => Rule::KaimingUniformIn,
            _ => Rule::Xavier,
        }
    }
}

/// The network: `[N, C, H, W]` to `[N, classes, H, W]`, sides multiples of 32.
#[derive(Module, Debug)]
pub(crate) struct SegFormerResNet {
    encoder: ResNet,
    /// The deepest feature first.
    linear: Vec<Linear>,
    fuse: ConvNorm,
    head: Conv2d,
}

impl SegFormerResNet {
    pub(crate) fn new(config: &SegFormerResNetConfig, channels: usize, classes: usize, device: &Device) -> Self {
        let width = config.decoder_channels;
        let widths = config.encoder.widths();
        let fuse = Conv { bias: false, ..Conv::k1(widths.len() * width, width) };
        Self {
            encoder: ResNet::new(&config.encoder, channels, STRIDE, device),
            linear: widths.iter().rev().map(|&from| LinearConfig::new(from, width).init(device)).collect(),
            fuse: ConvNorm::new(conv(fuse, device), width, device),
            head: conv(Conv::k1(width, classes), device),
        }
    }

    pub(crate) fn forward(&self, images: Tensor<4>) -> Tensor<4> {
        let [_, _, height, width] = images.dims();
        // The stem, at stride 2, is shrunk.
        let quarter = [height / 4, width / 4];
        let features = self.encoder.features(images).into_iter().rev();
        let maps = self.linear.iter().zip(features);
        let maps = maps.map(|(linear, map)| bilinear_resize(per_pixel(linear, map), quarter, Corners::Free)).collect();
        let fused = self.fuse.forward_relu(Tensor::cat(maps, 1));
        bilinear_resize(conv2d(&self.head, fused), [height, width], Corners::Aligned)
    }
}
