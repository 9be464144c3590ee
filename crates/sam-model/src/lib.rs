//! Segment Anything (SAM, and SAM 2 on images) in [Burn](https://burn.dev): trainable, tested against the original after every block, and permissively
//! licensed.
//!
//! SAM (Kirillov et al., 2023) is a vision transformer that embeds an image once, and a small decoder that answers prompts about it:
//! points, boxes, a rough mask, or nothing. This crate holds the whole model, forward and backward, on any Burn device:
//!
//! - [`SamConfig`] names every size: `vit_b`, `vit_l`, `vit_h`, a `mini` that two CPU cores can train, and anything in between.
//!   [`SamVariant::Paper`] is the arithmetic of the SALT paper's released code instead of the original's.
//! - The presets `sam2_tiny` to `sam2_large` are SAM 2 and 2.1's image path: another encoder, the same prompts, a decoder that sees finer
//!   maps ([`ImageFeatures`]). Everything below takes either.
//! - [`Sam`] is three Burn modules whose parameter paths are the key names of the published checkpoints, so adapters and
//!   optimizers address `image_encoder.blocks.0.attn.qkv.weight` by that name. Inputs have any size that is a multiple of
//!   the patch (32 in SAM 2); positions follow.
//! - [`Checkpoint`] reads Meta's `.pth` (without executing anything), Hugging Face's `SamModel`, MedSAM's and micro-sam's files and our
//!   own safetensors. A file that does not fit gives three named lists and no model. [`Sam::save`] writes the original's names, so
//!   what is tuned here opens in the tools of the Python world.
//! - [`SamPredictor`] takes images of any size and answers in their own pixels, prepared by [`sam_preprocess`] to the last bit as the
//!   original does. [`AutomaticPrompt`] replaces the user by one learned token per label: an image with many labels costs one
//!   encoder pass. [`restore_masks`] is the way from logits to masks for everybody who runs the model itself.
//! - [`parity`] compares the model with a reference run of the original, stage by stage.
//!
//! Masks are logits throughout: above zero is foreground (at least zero under the paper's protocol). Coordinates are pixels, (x, y). Tensors are `[N, C, H, W]` unless they say
//! otherwise.
//!
//! # Example
//!
//! Train the prompt token of a small, randomly initialised model on one image, then segment it. With a checkpoint, replace the
//! first two lines by `Sam::from_checkpoint("sam_vit_b_01ec64.pth", &device)?`.
//!
//! ```
//! use burn::optim::{AdamWConfig, GradientsParams, Optimizer};
//! use burn::tensor::{Device, Tensor};
//! use sam_model::{AutomaticPrompt, SamConfig, upsample_logits};
//!
//! # fn main() -> Result<(), sam_model::SamError> {
//! let device = Device::default().autodiff();
//! let config = SamConfig { image_size: 64, depth: 1, global_attention_blocks: vec![0], ..SamConfig::mini() };
//! let sam = config.init_seeded(7, &device)?;
//! let mut prompt = AutomaticPrompt::learned(1, config.output_channels, &device);
//! let mut optimizer = AdamWConfig::new().init();
//!
//! let image = Tensor::<4>::ones([1, 3, 64, 64], &device);
//! let features = sam.encode(image)?.detach(); // the encoder is not trained here, so it runs once
//! let mut losses = Vec::new();
//! for _ in 0..5 {
//!     let logits = sam.decode_automatic(features.clone(), &prompt)?; // [1, 1, 32, 32]
//!     let loss = (logits - 1.0).powf_scalar(2.0).mean();
//!     losses.push(loss.clone().into_scalar::<f32>());
//!     let gradients = GradientsParams::from_grads(loss.backward(), &prompt);
//!     prompt = optimizer.step(0.05, prompt, gradients);
//! }
//! assert!(losses[4] < losses[0]);
//!
//! let logits = upsample_logits(sam.decode_automatic(features, &prompt)?, [64, 64]);
//! assert_eq!(logits.dims(), [1, 1, 64, 64]);
//! # Ok(())
//! # }
//! ```
//!
//! Sizes, accuracy and speed as measured are in `docs/sam-model.md` of the repository.

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
mod restore;
mod shipped;
mod text_affine;

pub use automatic::AutomaticPrompt;
pub use checkpoint::{Checkpoint, LoadReport, Mismatch};
pub use config::{HieraBlockShape, HieraConfig, PositionResize, SamConfig, SamVariant};
pub use error::SamError;
pub use image_encoder::ImageFeatures;
pub use mask_decoder::{MaskChoice, MaskPrediction};
pub use model::{Sam, upsample_logits};
pub use nn::{LayerNorm, Mlp};
pub use predictor::{
    ImageEmbedding, ImagePrompt, MaskAnswer, SamPredictor, draw_overlay, paint_overlay, probability_level,
};
pub use prompt_encoder::{PointLabel, Prompts};
pub use restore::{logits_at, restore_masks};
pub use sam_preprocess::{Image, Preprocess, PreprocessError, Protocol, ResizeGeometry, RestoredMask};
pub use shipped::{LoadedModel, ShippedModel};
pub use text_affine::{TextAffine, TextNorm, TextNormKind, TextSource};

/// The example of the readme is a test.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
