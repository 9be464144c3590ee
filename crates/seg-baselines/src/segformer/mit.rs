//! SegFormer on the Mix Transformer.

use burn::module::Module;
use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::nn::{Linear, LinearConfig};
use burn::tensor::{Device, Tensor};
use burn_kernels::layer::{conv2d, linear};
use burn_kernels::{cross_attention, gelu, permute};
use serde::{Deserialize, Serialize};

use super::per_pixel;
use crate::BaselineError;
use crate::config::{positive, rate};
use crate::init::Rule;
use crate::nn::{Conv, ConvNorm, Corners, Draws, LayerNorm, bilinear_resize, conv, drop_path, dropout};

/// Five halvings have to leave a pixel.
pub(crate) const SMALLEST_SIDE: usize = 32;

/// Whose SegFormer: two packages compute slightly different functions of the same weights, and name them differently.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SegFormerFlavour {
    /// Hugging Face's transformers, whose files are the published ones: layer norms use epsilon 1e-5, logits are enlarged with
    /// free corners. The default.
    #[default]
    Transformers,
    /// segmentation-models-pytorch: layer norms use epsilon 1e-6 (except those of patches and reduced tokens, 1e-5), logits are
    /// enlarged with aligned corners, and sides have to be multiples of 32.
    Smp,
}

/// The shape of a SegFormer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SegFormerConfig {
    /// Channels of the four stages. Default: 64, 128, 320, 512.
    pub widths: [usize; 4],
    /// Blocks of the four stages. Default: 3, 4, 18, 3, a MiT-B3.
    pub depths: [usize; 4],
    /// Attention heads of the four stages; each divides its stage's width. Default: 1, 2, 5, 8.
    pub heads: [usize; 4],
    /// The hidden layer of a block's perceptron is this many times as wide as the stage. Default: 4.
    pub mlp_ratio: usize,
    /// Keys and values are reduced by this factor in each direction. Default: 8, 4, 2, 1.
    pub reductions: [usize; 4],
    /// Channels of the head. Default: 256; the authors' B2 to B5 have 768.
    pub decoder_channels: usize,
    /// Rate at which the last block's branches are dropped in a training step with [`Draws`]; it rises linearly from 0.
    /// Default: 0.1.
    pub drop_path: f64,
    /// Dropout before the classifier in a training step with [`Draws`] (not in the `smp` flavour). Default: 0.1.
    pub dropout: f64,
    /// Whose arithmetic and names.
    pub flavour: SegFormerFlavour,
}

impl Default for SegFormerConfig {
    fn default() -> Self {
        Self::mit_b3()
    }
}

impl SegFormerConfig {
    /// MiT-B0 with its head of 256 channels.
    pub fn mit_b0() -> Self {
        Self { widths: [32, 64, 160, 256], depths: [2; 4], ..Self::mit_b3() }
    }

    /// MiT-B2 with a head of 256 channels.
    pub fn mit_b2() -> Self {
        Self { depths: [3, 4, 6, 3], ..Self::mit_b3() }
    }

    /// MiT-B3 with a head of 256 channels: 44,598,209 parameters for three channels and one class.
    pub fn mit_b3() -> Self {
        Self {
            widths: [64, 128, 320, 512],
            depths: [3, 4, 18, 3],
            heads: [1, 2, 5, 8],
            mlp_ratio: 4,
            reductions: [8, 4, 2, 1],
            decoder_channels: 256,
            drop_path: 0.1,
            dropout: 0.1,
            flavour: SegFormerFlavour::Transformers,
        }
    }

    pub(crate) fn validate(&self) -> Result<(), BaselineError> {
        self.widths.iter().try_for_each(|&width| positive("widths", width))?;
        self.heads.iter().try_for_each(|&heads| positive("heads", heads))?;
        positive("decoder_channels", self.decoder_channels)?;
        rate("drop_path", self.drop_path)?;
        rate("dropout", self.dropout)?;
        if let Some(found) = self.depths.iter().find(|depth| !(1..=256).contains(*depth)) {
            return Err(BaselineError::config("depths", "1 to 256 blocks per stage", found));
        }
        if !(1..=64).contains(&self.mlp_ratio) {
            return Err(BaselineError::config("mlp_ratio", "1 to 64", self.mlp_ratio));
        }
        for stage in 0..4 {
            if !self.widths[stage].is_multiple_of(self.heads[stage]) {
                let expected = format!("a divisor of the width {} of stage {stage}", self.widths[stage]);
                return Err(BaselineError::config("heads", expected, self.heads[stage]));
            }
            // The smallest image has a side of 8, 4, 2 and 1 tokens.
            let most = 8 >> stage;
            if !(1..=most).contains(&self.reductions[stage]) {
                let expected = format!("1 to {most} in stage {stage}");
                return Err(BaselineError::config("reductions", expected, self.reductions[stage]));
            }
        }
        Ok(())
    }

    pub(crate) fn multiple(&self) -> usize {
        match self.flavour {
            SegFormerFlavour::Transformers => 1,
            SegFormerFlavour::Smp => 32,
        }
    }

    /// Transformers draws everything from N(0, 0.02). The authors, whom segmentation-models-pytorch follows, draw
    /// convolutions of the encoder by their fan-out; its decoder is that of the head on a ResNet. Biases are zero.
    pub(crate) fn rule(&self, path: &[&str]) -> Rule {
        match (self.flavour, path) {
            (_, [.., "bias"]) => Rule::Zero,
            (SegFormerFlavour::Smp, ["stages", .., "patches" | "reduce", _]) => Rule::KaimingNormalOut,
            // Of each channel alone there are nine outputs.
            (SegFormerFlavour::Smp, ["stages", .., "depthwise", _]) => Rule::Normal((2.0f64 / 9.0).sqrt()),
            (SegFormerFlavour::Smp, ["fuse", ..]) => Rule::KaimingUniformIn,
            (SegFormerFlavour::Smp, ["linear" | "classifier", ..]) => Rule::Xavier,
            _ => Rule::Normal(0.02),
        }
    }

    /// Epsilon of the norms of blocks and of stage ends, and of patches and reduced tokens.
    fn epsilons(&self) -> [f64; 2] {
        match self.flavour {
            SegFormerFlavour::Transformers => [1e-5; 2],
            SegFormerFlavour::Smp => [1e-6, 1e-5],
        }
    }
}

/// `[N, C, H, W]` to `[N, H * W, C]`.
fn tokens(map: Tensor<4>) -> Tensor<3> {
    let [batch, channels, height, width] = map.dims();
    permute(map.reshape([batch, channels, height * width]), [0, 2, 1])
}

/// `[N, H * W, C]` to `[N, C, H, W]`.
fn image(tokens: Tensor<3>, [height, width]: [usize; 2]) -> Tensor<4> {
    let [batch, _, channels] = tokens.dims();
    permute(tokens, [0, 2, 1]).reshape([batch, channels, height, width])
}

/// One block: attention to reduced tokens, then a perceptron that mixes neighbours.
#[derive(Module, Debug)]
struct Block {
    norm1: LayerNorm,
    query: Linear,
    key: Linear,
    value: Linear,
    reduce: Option<Conv2d>,
    reduce_norm: Option<LayerNorm>,
    output: Linear,
    norm2: LayerNorm,
    dense1: Linear,
    depthwise: Conv2d,
    dense2: Linear,
    #[module(skip)]
    heads: usize,
    /// Rate and name of the dropped branches.
    #[module(skip)]
    drop: (f64, String),
}

impl Block {
    fn new(config: &SegFormerConfig, stage: usize, drop: (f64, String), device: &Device) -> Self {
        let (width, reduction) = (config.widths[stage], config.reductions[stage]);
        let hidden = width * config.mlp_ratio;
        let [epsilon, reduced_epsilon] = config.epsilons();
        let linear = |from, to| LinearConfig::new(from, to).init(device);
        let reduces = reduction > 1;
        let reduce = || Conv2dConfig::new([width; 2], [reduction; 2]).with_stride([reduction; 2]).init(device);
        Self {
            norm1: LayerNorm::new(width, epsilon, device),
            query: linear(width, width),
            key: linear(width, width),
            value: linear(width, width),
            reduce: reduces.then(reduce),
            reduce_norm: reduces.then(|| LayerNorm::new(width, reduced_epsilon, device)),
            output: linear(width, width),
            norm2: LayerNorm::new(width, epsilon, device),
            dense1: linear(width, hidden),
            depthwise: conv(Conv { groups: hidden, ..Conv::k3(hidden, hidden) }, device),
            dense2: linear(hidden, width),
            heads: config.heads[stage],
            drop,
        }
    }

    fn forward(&self, x: Tensor<3>, size: [usize; 2], draws: Option<&Draws>) -> Tensor<3> {
        let (rate, name) = (self.drop.0, self.drop.1.as_str());
        let attended = self.attend(self.norm1.forward(x.clone()), size);
        let x = x + drop_path(attended, rate, &format!("{name}.attention"), draws);
        let mixed = self.mix(self.norm2.forward(x.clone()), size);
        x + drop_path(mixed, rate, &format!("{name}.mlp"), draws)
    }

    fn attend(&self, x: Tensor<3>, size: [usize; 2]) -> Tensor<3> {
        let query = linear(&self.query, x.clone());
        let mut reduced = x;
        if let (Some(conv), Some(norm)) = (&self.reduce, &self.reduce_norm) {
            reduced = norm.forward(tokens(conv2d(conv, image(reduced, size))));
        }
        let (key, value) = (linear(&self.key, reduced.clone()), linear(&self.value, reduced));
        linear(&self.output, cross_attention(query, key, value, self.heads))
    }

    fn mix(&self, x: Tensor<3>, size: [usize; 2]) -> Tensor<3> {
        let hidden = conv2d(&self.depthwise, image(linear(&self.dense1, x), size));
        linear(&self.dense2, gelu(tokens(hidden)))
    }
}

/// Overlapping patches, blocks, norm.
#[derive(Module, Debug)]
struct Stage {
    patches: Conv2d,
    patch_norm: LayerNorm,
    blocks: Vec<Block>,
    norm: LayerNorm,
}

impl Stage {
    fn new(config: &SegFormerConfig, stage: usize, channels: usize, device: &Device) -> Self {
        let width = config.widths[stage];
        let from = if stage == 0 { channels } else { config.widths[stage - 1] };
        let (kernel, stride) = if stage == 0 { (7, 4) } else { (3, 2) };
        let [epsilon, patch_epsilon] = config.epsilons();
        let before: usize = config.depths[..stage].iter().sum();
        let last = (config.depths.iter().sum::<usize>() - 1).max(1);
        let block = |index: usize| {
            let drop = config.drop_path * (before + index) as f64 / last as f64;
            Block::new(config, stage, (drop, format!("stages.{stage}.{index}")), device)
        };
        Self {
            patches: conv(Conv { kernel, stride, ..Conv::k1(from, width) }, device),
            patch_norm: LayerNorm::new(width, patch_epsilon, device),
            blocks: (0..config.depths[stage]).map(block).collect(),
            norm: LayerNorm::new(width, epsilon, device),
        }
    }

    fn forward(&self, map: Tensor<4>, draws: Option<&Draws>) -> Tensor<4> {
        let patches = conv2d(&self.patches, map);
        let [_, _, height, width] = patches.dims();
        let size = [height, width];
        let mut x = self.patch_norm.forward(tokens(patches));
        for block in &self.blocks {
            x = block.forward(x, size, draws);
        }
        image(self.norm.forward(x), size)
    }
}

/// The network: `[N, C, H, W]` to `[N, classes, H, W]`, any sides of at least 32.
#[derive(Module, Debug)]
pub(crate) struct SegFormer {
    stages: Vec<Stage>,
    /// In the order of the stages.
    linear: Vec<Linear>,
    fuse: ConvNorm,
    classifier: Conv2d,
    #[module(skip)]
    config: SegFormerConfig,
}

impl SegFormer {
    pub(crate) fn new(config: &SegFormerConfig, channels: usize, classes: usize, device: &Device) -> Self {
        let width = config.decoder_channels;
        let fuse = Conv { bias: false, ..Conv::k1(4 * width, width) };
        Self {
            stages: (0..4).map(|stage| Stage::new(config, stage, channels, device)).collect(),
            linear: config.widths.iter().map(|&from| LinearConfig::new(from, width).init(device)).collect(),
            fuse: ConvNorm::new(conv(fuse, device), width, device),
            classifier: conv(Conv::k1(width, classes), device),
            config: config.clone(),
        }
    }

    pub(crate) fn forward(&self, images: Tensor<4>, draws: Option<&Draws>) -> Tensor<4> {
        let [_, _, height, width] = images.dims();
        let mut map = images;
        let mut maps = Vec::with_capacity(self.stages.len());
        let mut quarter = [0, 0];
        for (index, (stage, linear)) in self.stages.iter().zip(&self.linear).enumerate() {
            map = stage.forward(map, draws);
            if index == 0 {
                let [_, _, rows, columns] = map.dims();
                quarter = [rows, columns];
            }
            maps.push(bilinear_resize(per_pixel(linear, map.clone()), quarter, Corners::Free));
        }
        // The deepest first.
        maps.reverse();
        let fused = self.fuse.forward_relu(Tensor::cat(maps, 1));
        let (dropped, corners) = match self.config.flavour {
            SegFormerFlavour::Transformers => (dropout(fused, self.config.dropout, "head", draws), Corners::Free),
            SegFormerFlavour::Smp => (fused, Corners::Aligned),
        };
        bilinear_resize(conv2d(&self.classifier, dropped), [height, width], corners)
    }
}
