//! The image encoders: SAM's plain vision transformer and SAM 2's trunk of stages, each with its neck.

mod attention;
mod block;
mod features;
pub mod hiera;
mod neck;
mod patch_embed;
mod positions;
mod vit;

pub use attention::Attention;
pub use block::{Block, BlockMlp};
pub use features::ImageFeatures;
pub use hiera::HieraEncoder;
pub use neck::Neck;
pub use patch_embed::PatchEmbed;
pub(crate) use positions::resized_positions;
pub use vit::{EncoderStages, VitEncoder};

use burn::tensor::Device;

use crate::SamConfig;
use crate::nn::alternatives;

/// Image to features, as SAM or as SAM 2 does it. The parameters' paths are those of the encoder that is there.
#[derive(Debug, Clone)]
#[allow(clippy::large_enum_variant, reason = "there is one per model")]
pub enum ImageEncoder {
    /// SAM's.
    Vit(VitEncoder),
    /// SAM 2's.
    Hiera(HieraEncoder),
}

alternatives!(ImageEncoder { Vit, Hiera });

impl ImageEncoder {
    pub(crate) fn new(config: &SamConfig, device: &Device) -> Self {
        match &config.hiera {
            None => Self::Vit(VitEncoder::new(config, device)),
            Some(hiera) => Self::Hiera(HieraEncoder::new(config, hiera, device)),
        }
    }

    /// SAM's encoder, if this is one.
    pub fn as_vit(&self) -> Option<&VitEncoder> {
        match self {
            Self::Vit(encoder) => Some(encoder),
            Self::Hiera(_) => None,
        }
    }

    /// SAM 2's encoder, if this is one.
    pub fn as_hiera(&self) -> Option<&HieraEncoder> {
        match self {
            Self::Hiera(encoder) => Some(encoder),
            Self::Vit(_) => None,
        }
    }

    /// The device of the parameters.
    pub fn device(&self) -> Device {
        match self {
            Self::Vit(encoder) => encoder.pos_embed.lazy_device(),
            Self::Hiera(encoder) => encoder.trunk.pos_embed.lazy_device(),
        }
    }
}
