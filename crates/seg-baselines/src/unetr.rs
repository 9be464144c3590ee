//! UNETR (Hatamizadeh et al., 2022) in two dimensions, as MONAI's `UNETR`: a vision transformer whose hidden states feed a
//! convolutional decoder.
//!
//! MONAI taps the states after the 4th, 7th and 10th of 12 blocks, where the paper says layers 3, 6 and 9. Norms of the
//! decoder are instance norms without parameters, so both modes are the same. The positions are those of one image size;
//! other sizes are refused, as in the reference. Parameters that some releases of MONAI carry and never use
//! (`norm_cross_attn`, `cross_attn`) are not part of the network and are passed over in files.

use burn::module::{Module, Param};
use burn::nn::conv::{Conv2d, Conv2dConfig, ConvTranspose2d};
use burn::nn::{Initializer, Linear, LinearConfig};
use burn::tensor::activation::leaky_relu;
use burn::tensor::{Device, Tensor};
use burn_kernels::layer::{conv_transpose2d, conv2d, linear, linear_gelu, linear_onto};
use burn_kernels::{cross_attention, permute};
use serde::{Deserialize, Serialize};

use crate::BaselineError;
use crate::checkpoint::Key;
use crate::config::positive;
use crate::init::Rule;
use crate::nn::{Conv, LayerNorm, conv, instance_norm, transposed_conv};

/// Side of a patch in pixels; the decoder is made for it.
pub(crate) const PATCH: usize = 16;
const BLOCKS: usize = 12;
/// Blocks (counted from 0) whose outputs the decoder sees.
const TAPS: [usize; 3] = [3, 6, 9];
const EPSILON: f64 = 1e-5;

/// The shape of a UNETR. The transformer has 12 blocks and patches of 16 pixels.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct UnetrConfig {
    /// Channels of the decoder at full resolution. Default: 32.
    pub feature_size: usize,
    /// Width of the transformer. Default: 768.
    pub hidden_size: usize,
    /// Width of the hidden layer of its multi-layer perceptrons. Default: 3072.
    pub mlp_dim: usize,
    /// Attention heads; a divisor of the width. Default: 12.
    pub num_heads: usize,
}

impl Default for UnetrConfig {
    fn default() -> Self {
        Self { feature_size: 32, hidden_size: 768, mlp_dim: 3072, num_heads: 12 }
    }
}

impl UnetrConfig {
    pub(crate) fn validate(&self) -> Result<(), BaselineError> {
        positive("feature_size", self.feature_size)?;
        positive("hidden_size", self.hidden_size)?;
        positive("mlp_dim", self.mlp_dim)?;
        positive("num_heads", self.num_heads)?;
        if !self.hidden_size.is_multiple_of(self.num_heads) {
            let expected = format!("a divisor of hidden_size {}", self.hidden_size);
            return Err(BaselineError::config("num_heads", expected, self.num_heads));
        }
        Ok(())
    }

    /// The name of a parameter in MONAI's state dict.
    pub(crate) fn key(&self, path: &[&str]) -> Option<Key> {
        Some(Key::plain(match path {
            ["positions"] => "vit.patch_embedding.position_embeddings".to_owned(),
            ["patches", end] => format!("vit.patch_embedding.patch_embeddings.{end}"),
            ["blocks", i, "qkv", end] => format!("vit.blocks.{i}.attn.qkv.{end}"),
            ["blocks", i, "output", end] => format!("vit.blocks.{i}.attn.out_proj.{end}"),
            ["blocks", i, linear @ ("linear1" | "linear2"), end] => format!("vit.blocks.{i}.mlp.{linear}.{end}"),
            ["blocks", i, norm, end] => format!("vit.blocks.{i}.{norm}.{end}"),
            ["norm", end] => format!("vit.norm.{end}"),
            ["full", layer, end] => format!("encoder1.layer.{layer}.conv.{end}"),
            ["projections", i, "first", end] => format!("encoder{}.transp_conv_init.conv.{end}", shift(i, 2)?),
            ["projections", i, "rest", j, "up", end] => format!("encoder{}.blocks.{j}.0.conv.{end}", shift(i, 2)?),
            ["projections", i, "rest", j, "block", layer, end] => {
                format!("encoder{}.blocks.{j}.1.{layer}.conv.{end}", shift(i, 2)?)
            }
            // The decoder with the highest number is the deepest and runs first.
            ["decoders", i, "up", end] => format!("decoder{}.transp_conv.conv.{end}", shift(i, 2)?),
            ["decoders", i, "block", layer, end] => {
                format!("decoder{}.conv_block.{layer}.conv.{end}", shift(i, 2)?)
            }
            ["out", end] => format!("out.conv.conv.{end}"),
            _ => return None,
        }))
    }

    /// PyTorch's defaults, positions N(0, 0.02).
    pub(crate) fn rule(&self, path: &[&str]) -> Rule {
        if path == ["positions"] { Rule::Normal(0.02) } else { Rule::TorchDefault }
    }

    /// Parameters that some releases of MONAI store and none reads.
    pub(crate) fn is_unused(key: &str) -> bool {
        key.starts_with("vit.blocks.") && (key.contains(".norm_cross_attn.") || key.contains(".cross_attn."))
    }
}

fn shift(index: &str, by: usize) -> Option<usize> {
    index.parse::<usize>().ok()?.checked_add(by)
}

/// One pre-norm block of the transformer.
#[derive(Module, Debug)]
struct Block {
    norm1: LayerNorm,
    qkv: Linear,
    output: Linear,
    norm2: LayerNorm,
    linear1: Linear,
    linear2: Linear,
    #[module(skip)]
    heads: usize,
}

impl Block {
    fn new(config: &UnetrConfig, device: &Device) -> Self {
        let (width, hidden) = (config.hidden_size, config.mlp_dim);
        Self {
            norm1: LayerNorm::new(width, EPSILON, device),
            qkv: LinearConfig::new(width, 3 * width).with_bias(false).init(device),
            output: LinearConfig::new(width, width).init(device),
            norm2: LayerNorm::new(width, EPSILON, device),
            linear1: LinearConfig::new(width, hidden).init(device),
            linear2: LinearConfig::new(hidden, width).init(device),
            heads: config.num_heads,
        }
    }

    fn forward(&self, tokens: Tensor<3>) -> Tensor<3> {
        let [_, _, width] = tokens.dims();
        let qkv = linear(&self.qkv, self.norm1.forward(tokens.clone()));
        let part = |i: usize| qkv.clone().narrow(2, i * width, width);
        let tokens = linear_onto(&self.output, cross_attention(part(0), part(1), part(2), self.heads), tokens);
        let hidden = linear_gelu(&self.linear1, self.norm2.forward(tokens.clone()));
        linear_onto(&self.linear2, hidden, tokens)
    }
}

/// Two convolutions with instance norms and a way around them; no biases.
#[derive(Module, Debug)]
struct ResidualBlock {
    conv1: Conv2d,
    conv2: Conv2d,
    /// Where the channels differ.
    conv3: Option<Conv2d>,
}

impl ResidualBlock {
    fn new(from: usize, to: usize, device: &Device) -> Self {
        let k3 = |from| conv(Conv { bias: false, ..Conv::k3(from, to) }, device);
        let around = || conv(Conv { bias: false, ..Conv::k1(from, to) }, device);
        Self { conv1: k3(from), conv2: k3(to), conv3: (from != to).then(around) }
    }

    fn forward(&self, map: Tensor<4>) -> Tensor<4> {
        let around = match &self.conv3 {
            Some(conv) => instance_norm(conv2d(conv, map.clone())),
            None => map.clone(),
        };
        let map = leaky(instance_norm(conv2d(&self.conv1, map)));
        leaky(instance_norm(conv2d(&self.conv2, map)) + around)
    }
}

fn leaky(map: Tensor<4>) -> Tensor<4> {
    leaky_relu(map, 0.01)
}

/// Doubles a map, joins it with a skip if there is one, and convolves.
#[derive(Module, Debug)]
struct UpBlock {
    up: ConvTranspose2d,
    block: ResidualBlock,
}

impl UpBlock {
    /// With a skip of as many channels as the map has after doubling.
    fn joining(from: usize, to: usize, device: &Device) -> Self {
        Self { up: transposed_conv(from, to, 2, false, device), block: ResidualBlock::new(2 * to, to, device) }
    }

    fn alone(width: usize, device: &Device) -> Self {
        Self { up: transposed_conv(width, width, 2, false, device), block: ResidualBlock::new(width, width, device) }
    }

    fn forward(&self, map: Tensor<4>, skip: Option<Tensor<4>>) -> Tensor<4> {
        let map = conv_transpose2d(&self.up, map);
        self.block.forward(match skip {
            Some(skip) => Tensor::cat(vec![map, skip], 1),
            None => map,
        })
    }
}

/// A hidden state enlarged to the size at which the decoder needs it.
#[derive(Module, Debug)]
struct Projection {
    first: ConvTranspose2d,
    rest: Vec<UpBlock>,
}

impl Projection {
    fn new(from: usize, to: usize, rest: usize, device: &Device) -> Self {
        Self {
            first: transposed_conv(from, to, 2, false, device),
            rest: (0..rest).map(|_| UpBlock::alone(to, device)).collect(),
        }
    }

    fn forward(&self, map: Tensor<4>) -> Tensor<4> {
        self.rest.iter().fold(self.first.forward(map), |map, block| block.forward(map, None))
    }
}

/// The network: `[N, C, H, W]` to `[N, classes, H, W]`, H and W as configured.
#[derive(Module, Debug)]
pub(crate) struct Unetr {
    patches: Conv2d,
    positions: Param<Tensor<3>>,
    blocks: Vec<Block>,
    norm: LayerNorm,
    full: ResidualBlock,
    /// Of the taps, the earliest (which is enlarged most) first.
    projections: Vec<Projection>,
    /// From full resolution down.
    decoders: Vec<UpBlock>,
    out: Conv2d,
}

impl Unetr {
    pub(crate) fn new(
        config: &UnetrConfig,
        channels: usize,
        classes: usize,
        [height, width]: [usize; 2],
        device: &Device,
    ) -> Self {
        let (f, hidden) = (config.feature_size, config.hidden_size);
        let tokens = (height / PATCH) * (width / PATCH);
        Self {
            patches: Conv2dConfig::new([channels, hidden], [PATCH; 2]).with_stride([PATCH; 2]).init(device),
            positions: Initializer::Normal { mean: 0.0, std: 0.02 }.init([1, tokens, hidden], device),
            blocks: (0..BLOCKS).map(|_| Block::new(config, device)).collect(),
            norm: LayerNorm::new(hidden, EPSILON, device),
            full: ResidualBlock::new(channels, f, device),
            projections: (0..3).map(|i| Projection::new(hidden, (2 << i) * f, 2 - i, device)).collect(),
            decoders: (0..4)
                .map(|i| UpBlock::joining(if i == 3 { hidden } else { (2 << i) * f }, (1 << i) * f, device))
                .collect(),
            out: conv(Conv::k1(f, classes), device),
        }
    }

    pub(crate) fn forward(&self, images: Tensor<4>) -> Tensor<4> {
        let patches = conv2d(&self.patches, images.clone());
        let [batch, width, rows, columns] = patches.dims();
        let mut tokens = permute(patches.reshape([batch, width, rows * columns]), [0, 2, 1]) + self.positions.val();
        let as_map = |tokens: Tensor<3>| permute(tokens, [0, 2, 1]).reshape([batch, width, rows, columns]);
        let mut skips = vec![self.full.forward(images)];
        let mut projections = self.projections.iter();
        for (index, block) in self.blocks.iter().enumerate() {
            tokens = block.forward(tokens);
            if let (true, Some(projection)) = (TAPS.contains(&index), projections.as_slice().first()) {
                skips.push(projection.forward(as_map(tokens.clone())));
                projections.next();
            }
        }
        let mut map = as_map(self.norm.forward(tokens));
        for (decoder, skip) in self.decoders.iter().zip(skips).rev() {
            map = decoder.forward(map, Some(skip));
        }
        conv2d(&self.out, map)
    }
}
