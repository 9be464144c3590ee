//! SAM 2's encoder: a trunk of four stages (Hiera) and a feature pyramid.

mod attention;
mod block;
mod neck;
mod trunk;

pub use attention::HieraAttention;
pub use block::{HieraBlock, HieraBlockParts};
pub use neck::{FpnConv, FpnNeck};
pub use trunk::{Hiera, HieraPatchEmbed};

use burn::module::Module;
use burn::tensor::{Device, Tensor};

use crate::SamConfig;
use crate::config::HieraConfig;

/// Image to a pyramid of maps.
#[derive(Module, Debug)]
pub struct HieraEncoder {
    /// The stages.
    pub trunk: Hiera,
    /// From the stages' ends to maps of one width.
    pub neck: FpnNeck,
}

/// The encoder's intermediate results, for stage-by-stage comparison.
#[derive(Debug, Clone)]
pub struct HieraStages {
    /// After the patch convolution, `[N, H / 4, W / 4, embed_dim]`.
    pub patch_embed: Tensor<4>,
    /// What is added to it, `[1, H / 4, W / 4, embed_dim]`.
    pub positions: Tensor<4>,
    /// Every block from the inside.
    pub blocks: Vec<HieraBlockParts>,
    /// The pyramid, finest map first, `[N, C, H / s, W / s]` with strides 4, 8, 16 and 32.
    pub pyramid: [Tensor<4>; 4],
}

impl HieraEncoder {
    pub(super) fn new(config: &SamConfig, hiera: &HieraConfig, device: &Device) -> Self {
        Self { trunk: Hiera::new(config, hiera, device), neck: FpnNeck::new(config, device) }
    }

    /// `[N, 3, H, W]` to three maps of `C` channels with strides 4, 8 and 16. The coarsest map of the pyramid has no place in the
    /// result, but is part of the third.
    ///
    /// # Panics
    /// If `H` or `W` is no multiple of [`SamConfig::input_multiple`]; [`Sam::encode`](crate::Sam::encode) checks this.
    pub fn forward(&self, image: Tensor<4>) -> [Tensor<4>; 3] {
        self.finish(self.trunk.forward(image))
    }

    /// What comes after the blocks: the neck, from the ends of the stages to the three maps of [`forward`](Self::forward).
    pub fn finish(&self, ends: [Tensor<4>; 4]) -> [Tensor<4>; 3] {
        let [finest, finer, embedding, _] = self.neck.forward(ends);
        [finest, finer, embedding]
    }

    /// The same computation, keeping the result of every stage.
    pub fn forward_stages(&self, image: Tensor<4>) -> HieraStages {
        let (patch_embed, positions, blocks) = self.trunk.forward_parts(image);
        let ends = self.trunk.stage_ends.map(|end| blocks[end].output.clone());
        HieraStages { patch_embed, positions, blocks, pyramid: self.neck.forward(ends) }
    }
}
