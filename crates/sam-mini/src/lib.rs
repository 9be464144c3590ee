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
use sam_model::{LoadedModel, SamConfig, SamError, ShippedModel};

/// The model in half precision, under the key names of the original, and the token of its automatic prompt, one label ("line").
pub const MODEL: ShippedModel = ShippedModel {
    name: "sam-mini",
    weights: include_bytes!("../weights/sam-mini.safetensors"),
    prompt: include_bytes!("../weights/sam-mini-prompt.safetensors"),
    config,
};
/// How the weights were made, as JSON.
pub const CARD: &str = include_str!("../weights/sam-mini.json");

/// Its configuration.
pub fn config() -> SamConfig {
    SamConfig::mini()
}

/// Loads the model onto `device`; [`ShippedModel::load_as`] of [`MODEL`] takes another configuration.
///
/// # Errors
/// As [`ShippedModel::load`].
pub fn load(device: &Device) -> Result<LoadedModel, SamError> {
    MODEL.load(device)
}

#[cfg(test)]
mod tests {
    use super::*;
    use sam_model::Checkpoint;
    use sha2::{Digest, Sha256};

    #[test]
    fn the_card_is_that_of_the_weights() {
        let card: serde_json::Value = serde_json::from_str(CARD).unwrap();
        assert_eq!(card["sha256"].as_str().unwrap(), hex::encode(Sha256::digest(MODEL.weights)));
        assert_eq!(card["bytes"], MODEL.weights.len());
    }

    #[test]
    fn the_weights_carry_the_configuration_that_is_promised() {
        let device = Device::default();
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("x.safetensors");
        std::fs::write(&path, MODEL.weights).unwrap();
        assert_eq!(Checkpoint::open(&path).unwrap().config().unwrap(), config());
        assert!(load(&device).unwrap().report.resampled.is_empty());
    }
}

/// The example of the readme is a test.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
