//! Writing a bundle.

use super::manifest::{BaseReference, Content, Manifest, Preprocessing, Provenance};
use super::{MANIFEST_FILE, PROMPT_FILE, WEIGHTS_FILE};
use crate::checkpoint::StoredFile;
use crate::config::ModelConfig;
use crate::error::{Result, TrainError};
use crate::files::{self, sha256_of};
use crate::model::Segmenter;
use salt_peft::{BasisStorage, SaveOptions, materialize, save_adapter};
use std::path::Path;

/// What a bundle says of a model besides its numbers.
#[derive(Debug, Clone)]
pub struct BundleContent {
    /// What the masks show, one name per prompt token.
    pub labels: Vec<String>,
    /// From an image to the network and back.
    pub preprocessing: Preprocessing,
    /// Where the model comes from.
    pub provenance: Option<Provenance>,
}

/// Writes a model without adapters ([`merged`](crate::evaluate::merged)) as a bundle of its own: no base is needed to use it, and
/// `model.safetensors` in it opens in every tool that reads the original's checkpoints.
///
/// # Errors
/// The folder holds something already, or cannot be written.
pub fn write_weights(folder: &Path, model: &Segmenter, content: BundleContent) -> Result<()> {
    let architecture = Box::new(model.sam.config().clone());
    write(folder, model, Content::Weights { architecture }, content, |folder| {
        Ok(model.sam.save(folder.join(WEIGHTS_FILE))?)
    })
}

/// Writes the adapter of a model and a reference to its base as a bundle.
///
/// # Errors
/// As [`write_weights`]; a model without adapter.
pub fn write_adapter(
    folder: &Path,
    model: &Segmenter,
    base: (&ModelConfig, &str),
    basis: BasisStorage,
    content: BundleContent,
) -> Result<()> {
    let base = BaseReference { model: base.0.clone(), sha256: base.1.to_owned() };
    write(folder, model, Content::Adapter { base }, content, |folder| {
        Ok(save_adapter(&model.sam, folder, &SaveOptions::default().with_basis(basis))?)
    })
}

/// Fills a folder under a temporary name and gives it its name when it is whole.
fn write(
    folder: &Path,
    model: &Segmenter,
    numbers: Content,
    content: BundleContent,
    save: impl FnOnce(&Path) -> Result<()>,
) -> Result<()> {
    files::new_folder(folder, |folder| {
        save(folder)?;
        let mut manifest = Manifest::new(numbers, content.labels, content.preprocessing);
        manifest.provenance = content.provenance;
        // Trained tokens hang on the prompt as an adapter does; what is stored is their value.
        materialize(&model.prompt).save(folder.join(PROMPT_FILE), &manifest.labels)?;
        for entry in std::fs::read_dir(folder).map_err(TrainError::io("cannot read", folder))?.flatten() {
            let (bytes, sha256) = sha256_of(&entry.path())?;
            let stored = StoredFile { bytes, sha256 };
            manifest.files.insert(entry.file_name().to_string_lossy().into_owned(), stored);
        }
        let path = folder.join(MANIFEST_FILE);
        let text = serde_json::to_string_pretty(&manifest).map_err(|e| TrainError::format(&path, e.to_string()))?;
        files::write(&path, format!("{text}\n").as_bytes())?;
        Ok(())
    })
}
