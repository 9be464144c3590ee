//! The weights that ship with this crate.

use super::learner::sam_error;
use crate::error::{Result, TrainError};
use burn::tensor::Device;
use sam_model::{AutomaticPrompt, Sam};

/// `assets/sam-mini.safetensors`.
pub(crate) const WEIGHTS: &[u8] = include_bytes!("../../assets/sam-mini.safetensors");
/// `assets/sam-mini-prompt.safetensors`.
const PROMPT: &[u8] = include_bytes!("../../assets/sam-mini-prompt.safetensors");

/// The pre-trained small SAM and its automatic token on `device`; see `docs/sam-mini.md` for what it is and what it is not.
///
/// # Errors
/// The temporary folder cannot be written: checkpoints are read from files.
pub fn sam_mini(device: &Device) -> Result<(Sam, AutomaticPrompt)> {
    let folder = tempfile::tempdir().map_err(TrainError::io("cannot create a folder in", &std::env::temp_dir()))?;
    let place = |name: &str, content: &[u8]| {
        let path = folder.path().join(name);
        std::fs::write(&path, content).map_err(TrainError::io("cannot write", &path))?;
        Ok::<_, TrainError>(path)
    };
    let (sam, _) = Sam::from_checkpoint(place("sam-mini.safetensors", WEIGHTS)?, device).map_err(sam_error)?;
    let (prompt, _) =
        AutomaticPrompt::load(place("sam-mini-prompt.safetensors", PROMPT)?, device).map_err(sam_error)?;
    Ok((sam, prompt))
}

#[cfg(test)]
mod tests {
    use super::super::{Card, Plan};
    use super::{WEIGHTS, sam_mini};
    use crate::checkpoint::sha256;
    use burn::module::Module;
    use burn::tensor::Device;

    #[test]
    fn the_shipped_files_belong_together() {
        let card: Card = serde_json::from_str(include_str!("../../assets/sam-mini.json")).unwrap();
        assert_eq!(card.sha256, sha256(WEIGHTS));
        assert_eq!(card.bytes, WEIGHTS.len());
        assert!(WEIGHTS.len() <= 10_000_000, "{} bytes", WEIGHTS.len());
        let (sam, prompt) = sam_mini(&Device::flex()).unwrap();
        assert_eq!(sam.config(), &Plan::default().model);
        assert_eq!(sam.num_params() + prompt.num_params(), card.parameters);
    }
}
