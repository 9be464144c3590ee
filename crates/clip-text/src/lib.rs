//! CLIP's text tower in [Burn](https://burn.dev): a tokenizer, the network, and the files of OpenAI and of transformers.
//!
//! CLIP (Radford et al., 2021) was trained to give an image and its caption the same features. This crate computes those of
//! texts, for programs that prompt a segmentation model with words. It does nothing with images.
//!
//! - [`Tokenizer`] gives the ids of OpenAI's `clip.tokenize`; its vocabulary is compiled in.
//! - [`ClipText`] is the transformer: causal attention, the features read at the end token. Features are tested
//!   against transformers and OpenAI's own class.
//! - [`Checkpoint`] opens safetensors and PyTorch files of whole CLIP models or of text towers, under OpenAI's or transformers' names,
//!   all or nothing.
//!
//! # What the tokenizer is made of
//!
//! The byte-pair encoding is that of the crate `tokenizers`. Its own steps for CLIP before that are those of transformers, which differ
//! from OpenAI's `tokenize` in 4 of the 26 texts of the test (quotes, ligatures, entities, a final sigma). So the cleaning, the words, the
//! limit of 77 tokens and the refusal of markers are here, and the comparison with OpenAI's tokens holds for every text but one with HTML
//! entities.
//!
//! ```no_run
//! use burn::tensor::Device;
//! use clip_text::{ClipText, Overflow, Tokenizer};
//!
//! let tokenizer = Tokenizer::new()?;
//! let (tower, _) = ClipText::from_checkpoint("clip-vit-base-patch32/model.safetensors", &Device::default())?;
//! let texts = [tokenizer.encode("vessel", Overflow::Refuse)?, tokenizer.encode("background", Overflow::Refuse)?];
//! let features = tower.encode(&texts)?; // [2, 512]
//! # Ok::<(), clip_text::ClipError>(())
//! ```

mod checkpoint;
mod config;
mod error;
mod model;
mod names;
mod tokenizer;

pub use checkpoint::{Checkpoint, LoadReport, Mismatch};
pub use config::{Activation, ClipTextConfig};
pub use error::ClipError;
pub use model::ClipText;
pub use tokenizer::{Overflow, Tokenizer};

/// The example of the readme is a test.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
