//! Segment Anything (SAM) in Burn: encoder, prompt encoder, mask decoder, checkpoints, predictor.

mod automatic;
mod checkpoint;
mod config;
mod error;
pub mod image_encoder;
mod init;
pub mod mask_decoder;
mod model;
mod nn;
pub mod parity;
mod predictor;
pub mod prompt_encoder;
mod transforms;

pub use automatic::{AutomaticPrompt, TextAffine};
pub use checkpoint::{Checkpoint, LoadReport, Mismatch};
pub use config::{PositionResize, SamConfig, SamVariant};
pub use error::SamError;
pub use mask_decoder::MaskPrediction;
pub use model::{Sam, upsample_logits};
pub use nn::{LayerNorm, Mlp};
pub use predictor::{ImageEmbedding, ImagePrompt, MaskAnswer, SamPredictor};
pub use prompt_encoder::{PointLabel, Prompts};
pub use transforms::{Frame, PIXEL_MEAN, PIXEL_STD, prepare_image};
