//! Adapter files: `adapter_config.json` and `adapter_model.safetensors`, the two files of Hugging Face PEFT.
//!
//! LoRA and DoRA are written under PEFT's names and load there; SALT and SVD tuning use names of their own beside them. A section
//! `salt_peft` of the configuration says what PEFT has no words for: fingerprints, ranges of outputs, the forms of SALT, parameters
//! trained alone. Files hold matrices as `[out, in]` and normalisations as `weight` and `bias`, whatever Burn's layout is.

mod describe;
mod host;
mod load;
mod load_low_rank;
mod load_own;
mod load_peft;
mod load_spectral;
mod manifest;
mod names;
mod options;
mod peft;
mod reader;
mod save;
mod tensors;

pub use load::{LoadReport, load_adapter};
pub use manifest::BasisStorage;
pub use names::{CONFIG_FILE, KeyMap, WEIGHTS_FILE};
pub use options::{LoadOptions, SaveOptions};
pub use save::save_adapter;
