//! Writing a bundle.

use super::manifest::{BaseReference, Content, Manifest, Preprocessing, Provenance};
use super::{MANIFEST_FILE, PROMPT_FILE, WEIGHTS_FILE};
use crate::checkpoint::StoredFile;
use crate::config::ModelConfig;
use crate::error::{Result, TrainError};
use crate::files::{self, sha256_of};
use crate::model::{PromptedSam, Segmenter};
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
/// `model.safetensors` in it opens in every tool that reads the original's checkpoints, or the reference package's of a classic
/// network.
///
/// # Errors
/// The folder holds something already, or cannot be written; not one label for each mask of a network.
pub fn write_weights(folder: &Path, model: &Segmenter, content: BundleContent) -> Result<()> {
    match model {
        Segmenter::Sam(model) => {
            let architecture = Box::new(model.sam.config().clone());
            write(folder, Content::Weights { architecture }, content, |folder, labels| {
                model.sam.save(folder.join(WEIGHTS_FILE))?;
                save_prompt(model, folder, labels)
            })
        }
        Segmenter::Network(network) => {
            let architecture = Box::new(network.config().clone());
            if content.labels.len() != architecture.classes {
                let problem = format!("expected {} names, found {:?}", architecture.classes, content.labels);
                return Err(TrainError::config("labels", problem));
            }
            write(folder, Content::Network { architecture }, content, |folder, _| {
                Ok(network.save(folder.join(WEIGHTS_FILE))?)
            })
        }
    }
}

/// Trained tokens hang on the prompt as an adapter does; what is stored is their value.
fn save_prompt(model: &PromptedSam, folder: &Path, labels: &[String]) -> Result<()> {
    Ok(materialize(&model.prompt).save(folder.join(PROMPT_FILE), labels)?)
}

/// Writes the adapter of a model and a reference to its base as a bundle.
///
/// # Errors
/// As [`write_weights`]; a model without adapter, or one that is no SAM.
pub fn write_adapter(
    folder: &Path,
    model: &Segmenter,
    base: (&ModelConfig, &str),
    basis: BasisStorage,
    content: BundleContent,
) -> Result<()> {
    let base = BaseReference { model: base.0.clone(), sha256: base.1.to_owned() };
    let model = model.require_sam("a bundle of an adapter")?;
    write(folder, Content::Adapter { base }, content, |folder, labels| {
        save_adapter(&model.sam, folder, &SaveOptions::default().with_basis(basis))?;
        save_prompt(model, folder, labels)
    })
}

/// Fills a folder under a temporary name and gives it its name when it is whole.
fn write(
    folder: &Path,
    numbers: Content,
    content: BundleContent,
    save: impl FnOnce(&Path, &[String]) -> Result<()>,
) -> Result<()> {
    files::new_folder(folder, |folder| {
        save(folder, &content.labels)?;
        let mut manifest = Manifest::new(numbers, content.labels, content.preprocessing);
        manifest.provenance = content.provenance;
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
