//! Models that are part of a program.

use std::path::Path;

use burn::tensor::Device;

use crate::{AutomaticPrompt, Checkpoint, LoadReport, Sam, SamConfig, SamError};

/// A model whose files were compiled into the program: nothing has to be downloaded or found.
#[derive(Debug, Clone, Copy)]
pub struct ShippedModel {
    /// The name that users give, which is also the stem of its files' names.
    pub name: &'static str,
    /// The weights: a safetensors file that carries its configuration.
    pub weights: &'static [u8],
    /// The token of automatic segmentation, as [`AutomaticPrompt::save`] writes it.
    pub prompt: &'static [u8],
    /// The configuration.
    pub config: fn() -> SamConfig,
}

/// A model with its automatic prompt.
#[derive(Debug)]
pub struct LoadedModel {
    /// The model.
    pub sam: Sam,
    /// One token per label.
    pub prompt: AutomaticPrompt,
    /// What the tokens stand for.
    pub labels: Vec<String>,
    /// How the tensors were taken: all of them as they are, unless another variant was asked for.
    pub report: LoadReport,
}

impl ShippedModel {
    /// Loads the model onto `device`.
    ///
    /// # Errors
    /// The readers take files, so that tensors are read one by one: [`SamError::Io`] if the folder for temporary files cannot be written.
    pub fn load(&self, device: &Device) -> Result<LoadedModel, SamError> {
        self.load_as(&(self.config)(), device)
    }

    /// Loads the weights into another configuration that takes them, for example its own as the SALT paper's code would run it
    /// ([`SamConfig::paper`]).
    ///
    /// # Errors
    /// As [`load`](Self::load); [`SamError::Mismatch`] if the configuration has other tensors, [`SamError::OtherModel`] if it is of
    /// another kind.
    pub fn load_as(&self, config: &SamConfig, device: &Device) -> Result<LoadedModel, SamError> {
        let folder = tempfile::tempdir().map_err(|source| SamError::io(std::env::temp_dir(), source))?;
        let file = |path: &Path, content: &[u8]| std::fs::write(path, content).map_err(|e| SamError::io(path, e));
        let weights = folder.path().join(format!("{}.safetensors", self.name));
        file(&weights, self.weights)?;
        let tokens = folder.path().join(format!("{}-prompt.safetensors", self.name));
        file(&tokens, self.prompt)?;
        let (sam, report) = Checkpoint::open(&weights)?.load(config, device)?;
        let (prompt, labels) = AutomaticPrompt::load(&tokens, device)?;
        Ok(LoadedModel { sam, prompt, labels, report })
    }
}
