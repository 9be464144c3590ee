//! The patch embedding.

use burn::module::Module;
use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::tensor::{Device, Tensor};

use crate::nn::patch_convolution;

/// A convolution whose stride is its kernel: every patch becomes one vector.
#[derive(Module, Debug)]
pub struct PatchEmbed {
    /// Weight `[embed_dim, 3, patch, patch]` and bias.
    pub proj: Conv2d,
}

impl PatchEmbed {
    pub(crate) fn new(patch_size: usize, embed_dim: usize, device: &Device) -> Self {
        let side = [patch_size, patch_size];
        Self { proj: Conv2dConfig::new([3, embed_dim], side).with_stride(side).init(device) }
    }

    /// `[N, 3, H, W]` to `[N, H / patch, W / patch, embed_dim]`.
    pub fn forward(&self, image: Tensor<4>) -> Tensor<4> {
        patch_convolution(&self.proj, image)
    }
}
