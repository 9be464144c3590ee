//! A small Segment Anything model with its weights: 3.9 million parameters, 7.7 MB, nothing to download.
//!
//! sam-mini has the code and the checkpoint format of SAM ([`sam_model`]) at a size that two CPU cores can train. It was pre-trained on
//! drawn scenes: shapes, textures and curves, no vessels and no photographs. It exists so that a fine-tuning pipeline can be tried,
//! tested and compared without SAM's own weights; it is no substitute for them. How it was made, what it scores and what it is
//! not good for is told in `docs/sam-mini.md` of the repository.
//!
//! ```
//! use burn::tensor::{Device, Tensor};
//!
//! let device = Device::default();
//! let mini = sam_mini::load(&device)?;
//! let image = Tensor::<4>::zeros([1, 3, 64, 64], &device);
//! let logits = mini.sam.forward_automatic(image, &mini.prompt)?; // [1, 1, 32, 32]
//! assert_eq!(logits.dims()[..2], [1, 1]);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use burn::tensor::Device;
use sam_model::{AutomaticPrompt, Checkpoint, LoadReport, Sam, SamConfig, SamError};
use std::path::{Path, PathBuf};

/// The model in half precision, under the key names of the original.
const WEIGHTS: &[u8] = include_bytes!("../weights/sam-mini.safetensors");
/// The token of its automatic prompt, one label ("line").
const PROMPT: &[u8] = include_bytes!("../weights/sam-mini-prompt.safetensors");
/// How the weights were made, as JSON.
pub const CARD: &str = include_str!("../weights/sam-mini.json");

/// The model with its automatic prompt.
#[derive(Debug)]
pub struct SamMini {
    /// The model.
    pub sam: Sam,
    /// One token, which segments every line.
    pub prompt: AutomaticPrompt,
    /// What the token stands for: `["line"]`.
    pub labels: Vec<String>,
    /// How the tensors were taken: all of them as they are, unless another variant was asked for.
    pub report: LoadReport,
}

/// Why the weights could not be loaded.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SamMiniError {
    /// The weights are read through a temporary file, which could not be written.
    #[error("cannot write {}: {source}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// The operating system's reason.
        source: std::io::Error,
    },
    /// The weights do not fit the configuration that was asked for.
    #[error(transparent)]
    Sam(#[from] SamError),
}

/// Its configuration.
pub fn config() -> SamConfig {
    SamConfig::mini()
}

/// Loads the model onto `device`.
///
/// # Errors
/// The folder for temporary files cannot be written.
pub fn load(device: &Device) -> Result<SamMini, SamMiniError> {
    load_as(&config(), device)
}

/// Loads the weights into another configuration that takes them, for example [`config()`] as the SALT paper's code would run
/// it ([`SamConfig::paper`]).
///
/// # Errors
/// As [`load`]; the configuration has other tensors (all that do not fit are listed).
pub fn load_as(config: &SamConfig, device: &Device) -> Result<SamMini, SamMiniError> {
    let folder = std::env::temp_dir();
    let io = |path: &Path| {
        let path = path.to_path_buf();
        move |source| SamMiniError::Io { path, source }
    };
    // The readers take files: tensors are read one by one.
    let place = tempfile::tempdir().map_err(io(&folder))?;
    let file = |name: &str, content: &[u8]| {
        let path = place.path().join(name);
        std::fs::write(&path, content).map_err(io(&path))?;
        Ok::<_, SamMiniError>(path)
    };
    let (sam, report) = Checkpoint::open(file("sam-mini.safetensors", WEIGHTS)?)?.load(config, device)?;
    let (prompt, labels) = AutomaticPrompt::load(file("sam-mini-prompt.safetensors", PROMPT)?, device)?;
    Ok(SamMini { sam, prompt, labels, report })
}

#[cfg(test)]
mod tests {
    use super::*;
    use sha2::{Digest, Sha256};

    #[test]
    fn the_card_is_that_of_the_weights() {
        let card: serde_json::Value = serde_json::from_str(CARD).unwrap();
        assert_eq!(card["sha256"].as_str().unwrap(), hex::encode(Sha256::digest(WEIGHTS)));
        assert_eq!(card["bytes"], WEIGHTS.len());
    }

    #[test]
    fn the_weights_carry_the_configuration_that_is_promised() {
        let device = Device::default();
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("x.safetensors");
        std::fs::write(&path, WEIGHTS).unwrap();
        assert_eq!(Checkpoint::open(&path).unwrap().config().unwrap(), config());
        assert!(load(&device).unwrap().report.resampled.is_empty());
    }
}

/// The example of the readme is a test.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
