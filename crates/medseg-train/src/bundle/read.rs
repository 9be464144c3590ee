//! Opening a bundle.

use super::manifest::{Content, Manifest};
use super::{MANIFEST_FILE, PROMPT_FILE, WEIGHTS_FILE};
use crate::error::{Result, TrainError};
use crate::files::sha256;
use crate::model::{Assets, BaseModel, PromptedSam, Segmenter};
use crate::text::TextFeatures;
use burn::tensor::Device;
use salt_peft::{LoadOptions, load_adapter};
use sam_model::{AutomaticPrompt, Checkpoint};
use std::path::{Path, PathBuf};

/// A bundle whose files are whole and belong together.
#[derive(Debug, Clone)]
pub struct Bundle {
    /// What it says of itself.
    pub manifest: Manifest,
    folder: PathBuf,
    fingerprint: String,
}

/// A bundle's model in memory.
#[derive(Debug)]
pub struct OpenedBundle {
    /// The model; adapters are attached, not merged.
    pub segmenter: Segmenter,
    /// The base that the adapter was put on, where it is one.
    pub base: Option<BaseModel>,
}

impl Bundle {
    /// Opens the folder and checks every file against its checksum.
    ///
    /// # Errors
    /// No bundle, a newer version, a file that is missing, damaged or of another bundle.
    pub fn open(folder: &Path) -> Result<Self> {
        let path = folder.join(MANIFEST_FILE);
        let text = match std::fs::read(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Err(TrainError::NotABundle { path: folder.to_path_buf(), found: listing(folder) });
            }
            Err(source) => return Err(TrainError::Io { action: "cannot read", path, source }),
        };
        let manifest = Manifest::parse(&text, &path)?;
        let needed: &[&str] = match manifest.content {
            Content::Weights { .. } => &[PROMPT_FILE, WEIGHTS_FILE],
            Content::Adapter { .. } => &[PROMPT_FILE, salt_peft::CONFIG_FILE, salt_peft::WEIGHTS_FILE],
            Content::Network { .. } => &[WEIGHTS_FILE],
        };
        if let Some(missing) = needed.iter().find(|name| !manifest.files.contains_key(**name)) {
            return Err(TrainError::format(&path, format!("field `files`: expected an entry for {missing}")));
        }
        for (name, expected) in &manifest.files {
            let path = folder.join(name);
            expected.read(&path)?.map_err(|found| {
                let problem = format!(
                    "expected {expected} as {MANIFEST_FILE} says, found {found}: the file is damaged or of another bundle"
                );
                TrainError::format(&path, problem)
            })?;
        }
        Ok(Self { manifest, folder: folder.to_path_buf(), fingerprint: sha256(&text) })
    }

    /// The folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// SHA-256 of `bundle.json`, which holds the checksums of all other files.
    pub fn fingerprint(&self) -> &str {
        &self.fingerprint
    }

    /// Loads the model onto `device`. `base` is where the base is now, if not where it was; `basis_cache` keeps decompositions
    /// for adapters that were stored without their basis.
    ///
    /// # Errors
    /// The base is not there or is another one; files that do not fit the model.
    pub fn load(&self, device: &Device, base: Option<&str>, basis_cache: Option<&Path>) -> Result<OpenedBundle> {
        let manifest_file = self.folder.join(MANIFEST_FILE);
        match &self.manifest.content {
            Content::Weights { architecture } => {
                let prompt = self.prompt(device)?;
                let (sam, _) = Checkpoint::open(self.folder.join(WEIGHTS_FILE))?.load(architecture, device)?;
                Ok(OpenedBundle { segmenter: Segmenter::Sam(PromptedSam { sam, prompt }), base: None })
            }
            Content::Network { architecture } => {
                let labels = &self.manifest.labels;
                if labels.len() != architecture.classes {
                    let problem = format!("field `labels`: expected {} names, found {labels:?}", architecture.classes);
                    return Err(TrainError::format(&manifest_file, problem));
                }
                let file = seg_baselines::Checkpoint::open(self.folder.join(WEIGHTS_FILE))?;
                let (network, _) = file.load(architecture, device)?;
                Ok(OpenedBundle { segmenter: Segmenter::Network(network), base: None })
            }
            Content::Adapter { base: reference } => {
                let prompt = self.prompt(device)?;
                let mut model = reference.model.clone();
                if let Some(place) = base {
                    model.base = place.to_owned();
                }
                // The features of its texts lie beside it: CLIP is not needed.
                let features = TextFeatures::of_prompt(&prompt);
                let assets = Assets { features: features.as_ref(), ..Assets::default() };
                let size = self.manifest.preprocessing.preprocess.size();
                let base =
                    BaseModel::load_with(&model, size, device, &assets).map_err(|source| TrainError::BaseOfBundle {
                        path: manifest_file.clone(),
                        base: model.base.clone(),
                        sha256: reference.sha256.clone(),
                        source: Box::new(source),
                    })?;
                if base.card.sha256 != reference.sha256 {
                    return Err(TrainError::OtherBase {
                        path: manifest_file,
                        base: model.base,
                        expected: reference.sha256.clone(),
                        found: base.card.sha256,
                    });
                }
                let mut options = LoadOptions::default();
                if let Some(folder) = basis_cache {
                    options = options.with_basis_cache(folder);
                }
                let sam = base.segmenter().require_sam("a bundle of an adapter")?.sam.clone();
                let (sam, _) = load_adapter(sam, &self.folder, &options)?;
                Ok(OpenedBundle { segmenter: Segmenter::Sam(PromptedSam { sam, prompt }), base: Some(base) })
            }
        }
    }

    /// The prompt of a SAM, with the labels that the manifest names.
    fn prompt(&self, device: &Device) -> Result<AutomaticPrompt> {
        let (prompt, labels) = AutomaticPrompt::load(self.folder.join(PROMPT_FILE), device)?;
        if labels != self.manifest.labels {
            let problem = format!("field `labels`: {PROMPT_FILE} has {labels:?}, found {:?}", self.manifest.labels);
            return Err(TrainError::format(&self.folder.join(MANIFEST_FILE), problem));
        }
        Ok(prompt)
    }
}

/// A few names of a folder's entries, for messages.
fn listing(folder: &Path) -> String {
    let Ok(entries) = std::fs::read_dir(folder) else { return "no such folder".into() };
    let mut names: Vec<String> = entries.flatten().map(|e| e.file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    match names.len() {
        0 => "an empty folder".into(),
        count => {
            let more = if count > 5 { format!(" and {} more", count - 5) } else { String::new() };
            names.truncate(5);
            names.join(", ") + &more
        }
    }
}
