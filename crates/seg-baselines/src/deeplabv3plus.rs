//! DeepLabV3+ (Chen et al., 2018) as segmentation-models-pytorch builds it: a dilated ResNet, separable atrous pyramid
//! pooling, and one separable convolution after the low-level features have joined (the paper has two plain ones).
//!
//! Of the dilated stages every convolution is dilated, the first block's included; torchvision's own dilation leaves that one
//! out and computes other numbers. Logits come at a quarter of the resolution and are enlarged.

use burn::module::Module;
use burn::nn::conv::Conv2d;
use burn::tensor::{Device, Tensor};
use burn_kernels::layer::conv2d;
use serde::{Deserialize, Serialize};

use crate::BaselineError;
use crate::checkpoint::Key;
use crate::config::{positive, rate, statistics};
use crate::init::Rule;
use crate::nn::{Conv, ConvNorm, Corners, Draws, SeparableConv, bilinear_resize, conv, dropout};
use crate::resnet::{RESNET_RULE, ResNet, ResNetConfig, resnet_key};

/// Channels of the reduced low-level features.
const LOW_LEVEL: usize = 48;

/// The shape of a DeepLabV3+.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DeepLabV3PlusConfig {
    /// The encoder. Default: ResNet-101.
    pub encoder: ResNetConfig,
    /// Stride of the encoder's last map, 8 or 16. Default: 16.
    pub output_stride: usize,
    /// Channels of the decoder. Default: 256.
    pub decoder_channels: usize,
    /// Dilations of the three atrous branches. Default: 12, 24, 36.
    pub atrous_rates: [usize; 3],
    /// Dropout after the pyramid, of a training step with [`Draws`]. Default: 0.5.
    pub dropout: f64,
}

impl Default for DeepLabV3PlusConfig {
    fn default() -> Self {
        Self {
            encoder: ResNetConfig::resnet101(),
            output_stride: 16,
            decoder_channels: 256,
            atrous_rates: [12, 24, 36],
            dropout: 0.5,
        }
    }
}

impl DeepLabV3PlusConfig {
    pub(crate) fn validate(&self) -> Result<(), BaselineError> {
        self.encoder.validate()?;
        positive("decoder_channels", self.decoder_channels)?;
        self.atrous_rates.iter().try_for_each(|&dilation| positive("atrous_rates", dilation))?;
        rate("dropout", self.dropout)?;
        match self.output_stride {
            8 | 16 => Ok(()),
            found => Err(BaselineError::config("output_stride", "8 or 16", found)),
        }
    }

    pub(crate) fn multiple(&self) -> usize {
        self.output_stride
    }

    /// The pooling branch has one value per image and channel, whatever the size.
    pub(crate) fn check(&self, batch: usize, size: [usize; 2], training: bool) -> Result<(), BaselineError> {
        let layer = "batch norm of the image pooling";
        if training { statistics("deeplabv3plus", layer, batch, [1, 1], size) } else { Ok(()) }
    }

    /// The name of a parameter in the state dict of segmentation-models-pytorch.
    pub(crate) fn key(&self, path: &[&str]) -> Option<Key> {
        Some(Key::plain(match path {
            ["encoder", rest @ ..] => format!("encoder.{}", resnet_key(rest)?),
            ["pointwise", rest @ ..] => format!("decoder.aspp.0.convs.0.{}", conv_norm_key(rest, 0)?),
            ["atrous", i, rest @ ..] => {
                format!("decoder.aspp.0.convs.{}.{}", i.parse::<usize>().ok()? + 1, separable_key(rest)?)
            }
            // After the pooling itself.
            ["pooled", rest @ ..] => format!("decoder.aspp.0.convs.4.{}", conv_norm_key(rest, 1)?),
            ["project", rest @ ..] => format!("decoder.aspp.0.project.{}", conv_norm_key(rest, 0)?),
            ["refine", "norm", end] => format!("decoder.aspp.2.{end}"),
            ["refine", rest @ ..] => format!("decoder.aspp.1.{}", separable_key(rest)?.strip_prefix("0.")?),
            ["low_level", rest @ ..] => format!("decoder.block1.{}", conv_norm_key(rest, 0)?),
            ["fuse", rest @ ..] => format!("decoder.block2.{}", separable_key(rest)?),
            ["head", end] => format!("segmentation_head.0.{end}"),
            _ => return None,
        }))
    }

    /// torchvision's in the encoder; decoder and head keep PyTorch's defaults.
    pub(crate) fn rule(&self, path: &[&str]) -> Rule {
        if path.first() == Some(&"encoder") { RESNET_RULE } else { Rule::TorchDefault }
    }
}

fn conv_norm_key(path: &[&str], first: usize) -> Option<String> {
    Some(match path {
        ["conv", end] => format!("{first}.{end}"),
        ["norm", end] => format!("{}.{end}", first + 1),
        _ => return None,
    })
}

fn separable_key(path: &[&str]) -> Option<String> {
    Some(match path {
        ["depthwise", end] => format!("0.0.{end}"),
        ["pointwise", end] => format!("0.1.{end}"),
        ["norm", end] => format!("1.{end}"),
        _ => return None,
    })
}

/// The network: `[N, C, H, W]` to `[N, classes, H, W]`, sides multiples of the output stride.
#[derive(Module, Debug)]
pub(crate) struct DeepLabV3Plus {
    encoder: ResNet,
    pointwise: ConvNorm,
    atrous: Vec<SeparableConv>,
    pooled: ConvNorm,
    project: ConvNorm,
    refine: SeparableConv,
    low_level: ConvNorm,
    fuse: SeparableConv,
    head: Conv2d,
    #[module(skip)]
    config: DeepLabV3PlusConfig,
}

impl DeepLabV3Plus {
    pub(crate) fn new(config: &DeepLabV3PlusConfig, channels: usize, classes: usize, device: &Device) -> Self {
        let [_, low, _, _, deep] = config.encoder.widths();
        let width = config.decoder_channels;
        let k1 = |from, to| ConvNorm::new(conv(Conv { bias: false, ..Conv::k1(from, to) }, device), to, device);
        Self {
            encoder: ResNet::new(&config.encoder, channels, config.output_stride, device),
            pointwise: k1(deep, width),
            atrous: config.atrous_rates.iter().map(|&r| SeparableConv::new(deep, width, r, device)).collect(),
            pooled: k1(deep, width),
            project: k1(5 * width, width),
            refine: SeparableConv::new(width, width, 1, device),
            low_level: k1(low, LOW_LEVEL),
            fuse: SeparableConv::new(width + LOW_LEVEL, width, 1, device),
            head: conv(Conv::k1(width, classes), device),
            config: config.clone(),
        }
    }

    pub(crate) fn forward(&self, images: Tensor<4>, draws: Option<&Draws>) -> Tensor<4> {
        let [batch, _, height, width] = images.dims();
        let mut features = self.encoder.features(images);
        let deep = features.swap_remove(4);
        let low = self.low_level.forward_relu(features.swap_remove(1));

        let [_, _, rows, columns] = deep.dims();
        let mean = deep.clone().mean_dim(2).mean_dim(3);
        let pooled = self.pooled.forward_relu(mean);
        let channels = self.config.decoder_channels;
        let mut branches = vec![self.pointwise.forward_relu(deep.clone())];
        branches.extend(self.atrous.iter().map(|branch| branch.forward(deep.clone())));
        branches.push(pooled.expand([batch, channels, rows, columns]));
        let pyramid = self.project.forward_relu(Tensor::cat(branches, 1));
        let pyramid = self.refine.forward(dropout(pyramid, self.config.dropout, "pyramid", draws));

        let [_, _, rows, columns] = low.dims();
        let pyramid = bilinear_resize(pyramid, [rows, columns], Corners::Aligned);
        let fused = self.fuse.forward(Tensor::cat(vec![pyramid, low], 1));
        bilinear_resize(conv2d(&self.head, fused), [height, width], Corners::Aligned)
    }
}
