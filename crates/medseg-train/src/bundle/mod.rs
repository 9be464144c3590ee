//! What a trained model is: a folder that says everything that is needed to use it.
//!
//! ```text
//! bundle/
//!   bundle.json                   what it is, how images are prepared, where it comes from, the checksum of every other file
//!   prompt.safetensors            one token per label, with the labels' names
//!   model.safetensors             the whole model under the original's key names, or
//!   adapter_config.json           an adapter in the two files of Hugging Face PEFT, to be put on the base
//!   adapter_model.safetensors     that bundle.json names
//! ```
//!
//! A classic network has no prompt: its bundle is `bundle.json` and `model.safetensors`, under its reference package's key names.
//!
//! The format is described in `docs/formats.md`. A bundle that was damaged, mixed up or made by a newer program is refused by name. A
//! base is known by what it holds, not by where it lies: a base that moved is given with its new place, another base is refused.

mod manifest;
mod read;
mod write;

pub use manifest::{BaseReference, Content, Manifest, Preprocessing, Provenance, VERSION};
pub use read::{Bundle, OpenedBundle};
pub use write::{BundleContent, write_adapter, write_weights};

pub use crate::model::PROMPT_FILE;

/// Name of the file that makes a folder a bundle.
pub const MANIFEST_FILE: &str = "bundle.json";
/// Name of the whole model's file.
pub const WEIGHTS_FILE: &str = "model.safetensors";
