//! Patches, positions and the blocks of all stages.

use burn::module::{Module, Param};
use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::nn::{Initializer, PaddingConfig2d};
use burn::tensor::{Device, Tensor};
use burn_kernels::permute;

use super::{HieraBlock, HieraBlockParts};
use crate::config::{HieraConfig, PATCH_STRIDE};
use crate::image_encoder::resized_positions;
use crate::{PositionResize, SamConfig};

/// The trunk: `[N, 3, H, W]` to the ends of four stages.
#[derive(Module, Debug)]
pub struct Hiera {
    /// The patch convolution.
    pub patch_embed: HieraPatchEmbed,
    /// Background positions, `[1, embed_dim, rows, columns]`, resized to the grid of tokens; initially zero.
    pub pos_embed: Param<Tensor<4>>,
    /// Positions within a window of the first stage, `[1, embed_dim, side, side]`, repeated over the grid; initially zero.
    pub pos_embed_window: Param<Tensor<4>>,
    /// The blocks of all stages.
    pub blocks: Vec<HieraBlock>,
    /// Index of the last block of each stage.
    #[module(skip)]
    pub(super) stage_ends: [usize; 4],
}

/// A convolution whose patches overlap: kernel 7, stride 4, padding 3.
#[derive(Module, Debug)]
pub struct HieraPatchEmbed {
    /// Weight `[embed_dim, 3, 7, 7]` and bias.
    pub proj: Conv2d,
}

impl Hiera {
    pub(super) fn new(config: &SamConfig, hiera: &HieraConfig, device: &Device) -> Self {
        let [rows, columns] = hiera.background_grid;
        let (width, side) = (config.embed_dim, config.window_size);
        let proj = Conv2dConfig::new([3, width], [7, 7])
            .with_stride([PATCH_STRIDE, PATCH_STRIDE])
            .with_padding(PaddingConfig2d::Explicit(3, 3, 3, 3))
            .init(device);
        Self {
            patch_embed: HieraPatchEmbed { proj },
            pos_embed: Initializer::Zeros.init([1, width, rows, columns], device),
            pos_embed_window: Initializer::Zeros.init([1, width, side, side], device),
            blocks: (0..config.depth)
                .map(|index| HieraBlock::new(config.hiera_block(hiera, index), config.mlp_ratio, device))
                .collect(),
            stage_ends: hiera.stage_ends(),
        }
    }

    /// The ends of the stages, channels last, finest first: `[N, H / 4, W / 4, embed_dim]`, then half the grid and twice the width
    /// each.
    pub fn forward(&self, image: Tensor<4>) -> [Tensor<4>; 4] {
        let mut x = self.embed(image);
        let mut first = 0;
        self.stage_ends.map(|end| {
            for block in &self.blocks[first..=end] {
                x = block.forward(x.clone());
            }
            first = end + 1;
            x.clone()
        })
    }

    /// What comes before the blocks: patches and their positions, `[N, 3, H, W]` to `[N, H / 4, W / 4, embed_dim]`.
    pub fn embed(&self, image: Tensor<4>) -> Tensor<4> {
        let patches = self.patch_embed.forward(image);
        let [_, height, width, _] = patches.dims();
        patches + self.positions([height, width])
    }

    /// Index of the last block of each stage, whose results are what the trunk returns.
    pub fn stage_ends(&self) -> [usize; 4] {
        self.stage_ends
    }

    /// Patches, what is added to them, and every block from the inside.
    pub(super) fn forward_parts(&self, image: Tensor<4>) -> (Tensor<4>, Tensor<4>, Vec<HieraBlockParts>) {
        let patches = self.patch_embed.forward(image);
        let [_, height, width, _] = patches.dims();
        let positions = self.positions([height, width]);
        let mut x = patches.clone() + positions.clone();
        let mut parts = Vec::with_capacity(self.blocks.len());
        for block in &self.blocks {
            let part = block.forward_parts(x);
            x = part.output.clone();
            parts.push(part);
        }
        (patches, positions, parts)
    }

    /// The positions of a `[height, width]` grid of tokens: `[1, height, width, embed_dim]`.
    pub fn positions(&self, [height, width]: [usize; 2]) -> Tensor<4> {
        let background = permute(self.pos_embed.val(), [0, 2, 3, 1]);
        let background = resized_positions(background, [height, width], PositionResize::Bicubic);
        let window = permute(self.pos_embed_window.val(), [0, 2, 3, 1]);
        let [_, side, _, channels] = window.dims();
        let (rows, columns) = (height / side, width / side);
        let tiled = window.reshape([1, side, 1, side, channels]).expand([rows, side, columns, side, channels]);
        background + tiled.reshape([1, rows * side, columns * side, channels])
    }
}

impl HieraPatchEmbed {
    /// `[N, 3, H, W]` to `[N, H / 4, W / 4, embed_dim]`.
    pub fn forward(&self, image: Tensor<4>) -> Tensor<4> {
        permute(self.proj.forward(image), [0, 2, 3, 1])
    }
}
