//! RegUNet, MONAI's image-registration U-Net (after DeepReg, Fu et al., 2020).
//!
//! Every level that is *extracted* is projected to logits, enlarged in squares, and the mean is taken. By default only the
//! deepest level is: then there is no decoder, the skips are unused, and the prediction comes in squares of 2^depth pixels.
//! The published parameter count is that of this network. With more levels ([`RegUNetConfig::with_decoder`]) there is a
//! decoder, but the coarse map always takes part in the mean. Logits have no bias.

use burn::module::Module;
use burn::nn::conv::{Conv2d, ConvTranspose2d};
use burn::tensor::activation::relu;
use burn::tensor::module::max_pool2d;
use burn::tensor::ops::MaxPoolOptions;
use burn::tensor::{Device, Tensor};
use burn_kernels::layer::{conv_transpose2d, conv2d};
use serde::{Deserialize, Serialize};

use crate::BaselineError;
use crate::checkpoint::Key;
use crate::config::{positive, statistics};
use crate::init::Rule;
use crate::nn::{BatchNorm, Conv, ConvNorm, conv, enlarge_nearest, transposed_conv};

/// The shape of a RegUNet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RegUNetConfig {
    /// Channels at full resolution; each level below has twice as many. Default: 32.
    pub channels: usize,
    /// Number of halvings. Default: 4.
    pub depth: usize,
    /// The levels that are projected to logits, 0 being full resolution; the deepest has to be one of them. Default: the
    /// deepest alone.
    pub extract_levels: Vec<usize>,
}

impl Default for RegUNetConfig {
    fn default() -> Self {
        Self { channels: 32, depth: 4, extract_levels: vec![4] }
    }
}

impl RegUNetConfig {
    /// The network with its decoder: full resolution and the deepest level are extracted (11,784,384 parameters for three
    /// channels and one class).
    pub fn with_decoder() -> Self {
        Self { extract_levels: vec![0, 4], ..Self::default() }
    }

    fn lowest(&self) -> usize {
        self.extract_levels.iter().copied().min().unwrap_or(self.depth)
    }

    pub(crate) fn validate(&self) -> Result<(), BaselineError> {
        positive("channels", self.channels)?;
        if !(1..=8).contains(&self.depth) {
            return Err(BaselineError::config("depth", "1 to 8 halvings", self.depth));
        }
        let levels = &self.extract_levels;
        let distinct = (0..levels.len()).all(|i| !levels[..i].contains(&levels[i]));
        if levels.iter().max() != Some(&self.depth) || !distinct {
            let expected = format!("distinct levels of 0 to {0}, {0} among them", self.depth);
            return Err(BaselineError::config("extract_levels", expected, format!("{levels:?}")));
        }
        Ok(())
    }

    pub(crate) fn multiple(&self) -> usize {
        1 << self.depth
    }

    pub(crate) fn check(&self, batch: usize, size: [usize; 2], training: bool) -> Result<(), BaselineError> {
        let bottom = size.map(|side| side >> self.depth);
        if training { statistics("regunet", "batch norm of the deepest level", batch, bottom, size) } else { Ok(()) }
    }

    /// The name of a parameter in MONAI's state dict.
    pub(crate) fn key(&self, path: &[&str]) -> Option<Key> {
        Some(Key::plain(match path {
            ["encoder", i, rest @ ..] => format!("encode_convs.{i}.{}", block_key(rest)?),
            ["bottom", rest @ ..] => format!("bottom_block.{}", block_key(rest)?),
            ["decoder", i, "transposed", end] => format!("decode_deconvs.{i}.conv.{end}"),
            ["decoder", i, "norm", end] => format!("decode_deconvs.{i}.adn.N.{end}"),
            ["decoder", i, "block", rest @ ..] => format!("decode_convs.{i}.{}", block_key(rest)?),
            ["outputs", j, end] => format!("output_block.layers.{j}.conv.{end}"),
            _ => return None,
        }))
    }

    /// What MONAI calls Kaiming uniform is Kaiming normal, and reaches the first convolution of every block and the outputs;
    /// the others keep PyTorch's defaults.
    pub(crate) fn rule(&self, path: &[&str]) -> Rule {
        match path {
            ["outputs", ..] | [.., "first", "conv", _] => Rule::KaimingNormalIn,
            _ => Rule::TorchDefault,
        }
    }
}

fn block_key(path: &[&str]) -> Option<String> {
    Some(match path {
        ["first", "conv", end] => format!("0.conv.{end}"),
        ["first", "norm", end] => format!("0.adn.N.{end}"),
        ["residual", j, "conv", end] => format!("1.layers.{j}.conv.{end}"),
        ["residual", j, "norm", end] => format!("1.norms.{j}.{end}"),
        _ => return None,
    })
}

/// A convolution, then two with a way around them.
#[derive(Module, Debug)]
struct Block {
    first: ConvNorm,
    residual: Vec<ConvNorm>,
}

impl Block {
    fn new(from: usize, to: usize, device: &Device) -> Self {
        let layer = |from| ConvNorm::new(conv(Conv { bias: false, ..Conv::k3(from, to) }, device), to, device);
        Self { first: layer(from), residual: vec![layer(to), layer(to)] }
    }

    fn forward(&self, map: Tensor<4>) -> Tensor<4> {
        let around = self.first.forward_relu(map);
        let mut map = around.clone();
        for (index, layer) in self.residual.iter().enumerate() {
            map = if index == 0 { layer.forward_relu(map) } else { layer.forward(map) };
        }
        relu(map + around)
    }
}

/// Doubles the map and adds the skip.
#[derive(Module, Debug)]
struct Up {
    transposed: ConvTranspose2d,
    norm: BatchNorm,
    block: Block,
}

impl Up {
    fn new(from: usize, to: usize, device: &Device) -> Self {
        Self {
            transposed: transposed_conv(from, to, 3, false, device),
            norm: BatchNorm::new(to, device),
            block: Block::new(to, to, device),
        }
    }

    fn forward(&self, map: Tensor<4>, skip: Tensor<4>) -> Tensor<4> {
        let map = relu(self.norm.forward(conv_transpose2d(&self.transposed, map)));
        self.block.forward(map + skip)
    }
}

/// The network: `[N, C, H, W]` to `[N, classes, H, W]`, sides multiples of 2^depth.
#[derive(Module, Debug)]
pub(crate) struct RegUNet {
    encoder: Vec<Block>,
    bottom: Block,
    /// From the deepest level up, as far as a level is extracted.
    decoder: Vec<Up>,
    outputs: Vec<Conv2d>,
    #[module(skip)]
    config: RegUNetConfig,
}

impl RegUNet {
    pub(crate) fn new(config: &RegUNetConfig, channels: usize, classes: usize, device: &Device) -> Self {
        let width = |level: usize| config.channels << level;
        let encoder = |level: usize| {
            let from = if level == 0 { channels } else { width(level - 1) };
            Block::new(from, width(level), device)
        };
        let output = |level: &usize| conv(Conv { bias: false, ..Conv::k3(width(*level), classes) }, device);
        Self {
            encoder: (0..config.depth).map(encoder).collect(),
            bottom: Block::new(width(config.depth - 1), width(config.depth), device),
            decoder: (config.lowest()..config.depth).rev().map(|i| Up::new(width(i + 1), width(i), device)).collect(),
            outputs: config.extract_levels.iter().map(output).collect(),
            config: config.clone(),
        }
    }

    pub(crate) fn forward(&self, images: Tensor<4>) -> Tensor<4> {
        let mut skips = Vec::with_capacity(self.encoder.len());
        let mut map = images;
        for block in &self.encoder {
            let skip = block.forward(map);
            map = max_pool2d(skip.clone(), MaxPoolOptions::new([2, 2]));
            skips.push(skip);
        }
        // From the deepest level up.
        let mut levels = vec![self.bottom.forward(map)];
        for (up, skip) in self.decoder.iter().zip(skips.into_iter().rev()) {
            if let Some(below) = levels.last() {
                levels.push(up.forward(below.clone(), skip));
            }
        }
        let depth = self.config.depth;
        let maps = self
            .outputs
            .iter()
            .zip(&self.config.extract_levels)
            .map(|(conv, &level)| enlarge_nearest(conv2d(conv, levels[depth - level].clone()), 1 << level));
        let count = self.outputs.len() as f64;
        maps.reduce(|sum, map| sum + map).map_or_else(|| levels[0].clone(), |sum| sum / count)
    }
}
