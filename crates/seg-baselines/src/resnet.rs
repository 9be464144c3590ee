//! The ResNet encoder with bottlenecks (He et al., 2016), as torchvision (v1.5: the stride is in the 3x3 convolution) and
//! segmentation-models-pytorch build it.

use burn::module::Module;
use burn::tensor::activation::relu;
use burn::tensor::module::max_pool2d;
use burn::tensor::ops::MaxPoolOptions;
use burn::tensor::{Device, Tensor};
use serde::{Deserialize, Serialize};

use crate::BaselineError;
use crate::config::positive;
use crate::init::Rule;
use crate::nn::{BatchNorm, Conv, ConvNorm, conv};

/// A bottleneck's output is this many times as wide as its 3x3 convolution.
const EXPANSION: usize = 4;

/// The shape of a ResNet with bottlenecks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ResNetConfig {
    /// Channels of the first convolution. Default: 64.
    pub stem: usize,
    /// Channels inside the bottlenecks of the four stages; outputs have four times as many. Default: 64, 128, 256, 512.
    pub planes: [usize; 4],
    /// Bottlenecks of the four stages. Default: 3, 4, 23, 3, a ResNet-101.
    pub layers: [usize; 4],
}

impl Default for ResNetConfig {
    fn default() -> Self {
        Self::resnet101()
    }
}

impl ResNetConfig {
    /// ResNet-50: 3, 4, 6, 3 bottlenecks.
    pub fn resnet50() -> Self {
        Self { layers: [3, 4, 6, 3], ..Self::resnet101() }
    }

    /// ResNet-101: 3, 4, 23, 3 bottlenecks.
    pub fn resnet101() -> Self {
        Self { stem: 64, planes: [64, 128, 256, 512], layers: [3, 4, 23, 3] }
    }

    pub(crate) fn validate(&self) -> Result<(), BaselineError> {
        positive("stem", self.stem)?;
        self.planes.iter().try_for_each(|&width| positive("planes", width))?;
        match self.layers.iter().find(|layers| !(1..=256).contains(*layers)) {
            Some(found) => Err(BaselineError::config("layers", "1 to 256 bottlenecks per stage", found)),
            None => Ok(()),
        }
    }

    /// Channels of the five features, the stem's first.
    pub(crate) fn widths(&self) -> [usize; 5] {
        let [a, b, c, d] = self.planes.map(|planes| planes * EXPANSION);
        [self.stem, a, b, c, d]
    }
}

/// The name of a parameter in torchvision's state dict.
pub(crate) fn resnet_key(path: &[&str]) -> Option<String> {
    Some(match path {
        ["stem", "conv", end] => format!("conv1.{end}"),
        ["stem", "norm", end] => format!("bn1.{end}"),
        ["stages", s, b, rest @ ..] => {
            let prefix = format!("layer{}.{b}", s.parse::<usize>().ok()? + 1);
            match rest {
                ["shortcut", "conv", end] => format!("{prefix}.downsample.0.{end}"),
                ["shortcut", "norm", end] => format!("{prefix}.downsample.1.{end}"),
                ["convs", i, "conv", end] => format!("{prefix}.conv{}.{end}", i.parse::<usize>().ok()? + 1),
                ["convs", i, "norm", end] => format!("{prefix}.bn{}.{end}", i.parse::<usize>().ok()? + 1),
                _ => return None,
            }
        }
        _ => return None,
    })
}

/// torchvision's: Kaiming normal by the fan-out.
pub(crate) const RESNET_RULE: Rule = Rule::KaimingNormalOut;

/// 1x1, 3x3, 1x1, and a way around them.
#[derive(Module, Debug)]
struct Bottleneck {
    convs: Vec<ConvNorm>,
    shortcut: Option<ConvNorm>,
}

impl Bottleneck {
    fn new(from: usize, planes: usize, stride: usize, dilation: usize, device: &Device) -> Self {
        let to = planes * EXPANSION;
        let layer = |c: Conv| ConvNorm::new(conv(Conv { bias: false, ..c }, device), c.to, device);
        let shortcut = || layer(Conv { stride, ..Conv::k1(from, to) });
        Self {
            convs: vec![
                layer(Conv::k1(from, planes)),
                layer(Conv { stride, dilation, ..Conv::k3(planes, planes) }),
                layer(Conv::k1(planes, to)),
            ],
            shortcut: (stride != 1 || from != to).then(shortcut),
        }
    }

    fn forward(&self, map: Tensor<4>) -> Tensor<4> {
        let around = match &self.shortcut {
            Some(layer) => layer.forward(map.clone()),
            None => map.clone(),
        };
        let last = self.convs.len() - 1;
        let mut map = map;
        for (index, layer) in self.convs.iter().enumerate() {
            map = if index == last { layer.forward(map) } else { layer.forward_relu(map) };
        }
        relu(map + around)
    }
}

/// The encoder: `[N, C, H, W]` to features at strides 2, 4, 8, 16 and 32 (or less where it is dilated).
#[derive(Module, Debug)]
pub(crate) struct ResNet {
    stem: ConvNorm,
    stages: Vec<Vec<Bottleneck>>,
}

impl ResNet {
    /// `output_stride` is 8, 16 or 32: stages that would go beyond it are dilated instead, every convolution of them.
    pub(crate) fn new(config: &ResNetConfig, channels: usize, output_stride: usize, device: &Device) -> Self {
        let stem = Conv { kernel: 7, stride: 2, bias: false, ..Conv::k1(channels, config.stem) };
        let widths = config.widths();
        let mut reached = 4;
        let mut dilation = 1;
        let mut stages = Vec::with_capacity(4);
        for stage in 0..4 {
            let mut stride = if stage == 0 { 1 } else { 2 };
            if reached * stride > output_stride {
                dilation *= stride;
                stride = 1;
            }
            reached *= stride;
            let block = |index: usize| {
                let (from, stride) = if index == 0 { (widths[stage], stride) } else { (widths[stage + 1], 1) };
                Bottleneck::new(from, config.planes[stage], stride, dilation, device)
            };
            stages.push((0..config.layers[stage]).map(block).collect());
        }
        Self { stem: ConvNorm { conv: conv(stem, device), norm: BatchNorm::new(config.stem, device) }, stages }
    }

    /// The stem (before its pooling) and the four stages.
    pub(crate) fn features(&self, images: Tensor<4>) -> Vec<Tensor<4>> {
        let stem = self.stem.forward_relu(images);
        let mut map = max_pool2d(stem.clone(), MaxPoolOptions::new([3, 3]).with_stride([2, 2]).with_padding([1, 1]));
        let mut features = vec![stem];
        for stage in &self.stages {
            map = stage.iter().fold(map, |map, block| block.forward(map));
            features.push(map.clone());
        }
        features
    }
}
