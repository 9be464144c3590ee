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
//! # Why the tokenizer is our own
//!
//! The crate `tokenizers` (0.22, no default features, `fancy-regex`, no C) does the byte-pair encoding as well, which is 30 lines here. It
//! brings 17 crates that nothing else of this workspace needs, and 100 seconds of compiling (release, one busy core). What it does not bring is the rest:
//! its own steps for CLIP are those of transformers, which differ from OpenAI's `tokenize` in 4 of the 26 texts of the test (quotes,
//! ligatures, entities, a final sigma), and the limit of 77 tokens, the refusal of markers and the vocabulary would still be written here.
//! `instant-clip-tokenizer` cleans nothing either and takes further spellings for markers. Both would sit behind this interface; what
//! counts is the comparison with OpenAI's tokens, which holds for every text but one with HTML entities.
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
