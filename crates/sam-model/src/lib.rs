//! Segment Anything (SAM) in Burn: encoder, prompt encoder, mask decoder, checkpoints, predictor.

mod automatic;
mod checkpoint;
mod config;
mod error;
pub mod image_encoder;
pub mod mask_decoder;
mod model;
mod nn;
pub mod prompt_encoder;

pub use automatic::{AutomaticPrompt, TextAffine};
pub use checkpoint::Mismatch;
pub use config::{PositionResize, SamConfig, SamVariant};
pub use error::SamError;
pub use mask_decoder::MaskPrediction;
pub use model::{Sam, upsample_logits};
pub use nn::{LayerNorm, Mlp};
pub use prompt_encoder::{PointLabel, Prompts};
