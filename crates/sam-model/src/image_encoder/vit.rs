//! SAM's encoder: a plain vision transformer with windowed and global attention, and a convolutional neck.

use burn::module::{Module, Param};
use burn::nn::Initializer;
use burn::tensor::{Device, Tensor};

use super::neck::{neck_forward, new_neck};
use super::positions::resized_positions;
use super::{Block, Neck, PatchEmbed};
use crate::{PositionResize, SamConfig};

/// Image to embedding: `[N, 3, H, W]` to `[N, output_channels, H / patch, W / patch]`.
///
/// `H` and `W` are any multiples of the patch size; absolute and relative positions follow the grid.
#[derive(Module, Debug)]
pub struct VitEncoder {
    /// The patch convolution.
    pub patch_embed: PatchEmbed,
    /// Absolute positions, `[1, grid, grid, embed_dim]`, initially zero.
    pub pos_embed: Param<Tensor<4>>,
    /// The transformer blocks.
    pub blocks: Vec<Block>,
    /// The neck.
    pub neck: Neck,
    #[module(skip)]
    position_resize: PositionResize,
}

/// The encoder's intermediate results, for stage-by-stage comparison.
#[derive(Debug, Clone)]
pub struct EncoderStages {
    /// After the patch convolution, `[N, h, w, embed_dim]`.
    pub patch_embed: Tensor<4>,
    /// After adding the absolute positions, `[N, h, w, embed_dim]`.
    pub positions: Tensor<4>,
    /// After each block, `[N, h, w, embed_dim]`.
    pub blocks: Vec<Tensor<4>>,
    /// The embedding, `[N, output_channels, h, w]`.
    pub neck: Tensor<4>,
}

impl VitEncoder {
    pub(super) fn new(config: &SamConfig, device: &Device) -> Self {
        let grid = config.grid_size();
        Self {
            patch_embed: PatchEmbed::new(config.patch_size, config.embed_dim, device),
            pos_embed: Initializer::Zeros.init([1, grid, grid, config.embed_dim], device),
            blocks: (0..config.depth).map(|index| Block::new(config, index, device)).collect(),
            neck: new_neck(config.embed_dim, config.output_channels, device),
            position_resize: config.position_resize,
        }
    }

    /// `[N, 3, H, W]` to `[N, output_channels, H / patch, W / patch]`.
    ///
    /// # Panics
    /// If `H` or `W` is no multiple of the patch size; [`Sam::encode_image`](crate::Sam::encode_image) checks this.
    pub fn forward(&self, image: Tensor<4>) -> Tensor<4> {
        let mut x = self.embed(image);
        for block in &self.blocks {
            x = block.forward(x);
        }
        self.finish(x)
    }

    /// What comes before the blocks: patches and their positions, `[N, 3, H, W]` to `[N, H / patch, W / patch, embed_dim]`.
    pub fn embed(&self, image: Tensor<4>) -> Tensor<4> {
        self.add_positions(self.patch_embed.forward(image))
    }

    /// What comes after the blocks: the neck, `[N, h, w, embed_dim]` to `[N, output_channels, h, w]`.
    pub fn finish(&self, x: Tensor<4>) -> Tensor<4> {
        neck_forward(&self.neck, x)
    }

    /// The same computation, keeping the result of every stage.
    pub fn forward_stages(&self, image: Tensor<4>) -> EncoderStages {
        let patch_embed = self.patch_embed.forward(image);
        let positions = self.add_positions(patch_embed.clone());
        let mut x = positions.clone();
        let mut blocks = Vec::with_capacity(self.blocks.len());
        for block in &self.blocks {
            x = block.forward(x);
            blocks.push(x.clone());
        }
        EncoderStages { patch_embed, positions, blocks, neck: neck_forward(&self.neck, x) }
    }

    fn add_positions(&self, x: Tensor<4>) -> Tensor<4> {
        let [_, height, width, _] = x.dims();
        x + resized_positions(self.pos_embed.val(), [height, width], self.position_resize)
    }
}
