//! The content of `bundle.json`.

use crate::checkpoint::StoredFile;
use crate::config::{ModelConfig, RunConfig};
use crate::data::DatasetCard;
use crate::error::{Result, TrainError};
use medseg_data::decode::ImageOptions;
use sam_model::{Preprocess, Protocol, SamConfig};
use seg_baselines::NetworkConfig;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::Path;

/// The newest version that this program reads. Version 2 has classic networks, version 3 MedSAM's way of preparing images; other
/// bundles are written in version 1, which earlier programs read.
pub const VERSION: u32 = 3;
/// What tells the file from others of its name.
const FORMAT: &str = "salt-bundle";

/// Everything about a trained model but its numbers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Manifest {
    /// Always `salt-bundle`.
    pub format: String,
    /// Version of the format.
    pub version: u32,
    /// The program that wrote it.
    pub program: String,
    /// The model's numbers: all of them, or an adapter and its base.
    pub content: Content,
    /// What the masks show, one name per prompt token or map of logits.
    pub labels: Vec<String>,
    /// From an image to the network and back.
    pub preprocessing: Preprocessing,
    /// Where it comes from; absent for models that were not trained here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provenance: Option<Provenance>,
    /// Size and checksum of every other file.
    pub files: BTreeMap<String, StoredFile>,
}

/// The model's numbers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, tag = "kind", rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Content {
    /// The whole model.
    Weights {
        /// Its sizes and variant.
        architecture: Box<SamConfig>,
    },
    /// An adapter.
    Adapter {
        /// What it is put on.
        base: BaseReference,
    },
    /// The whole of a classic network, under the key names of its reference package. Since version 2.
    Network {
        /// Its sizes.
        architecture: Box<NetworkConfig>,
    },
}

impl Content {
    /// The oldest version of the format that has this.
    fn version(&self) -> u32 {
        match self {
            Self::Weights { .. } | Self::Adapter { .. } => 1,
            Self::Network { .. } => 2,
        }
    }
}

/// A base model that is not part of the bundle.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct BaseReference {
    /// How to load it, as in a run file. A file is named by its absolute path at the time.
    pub model: ModelConfig,
    /// SHA-256 over the names, shapes and values of its tensors.
    pub sha256: String,
}

/// From an image to the network and back.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Preprocessing {
    /// How image files are read: grey range, pages, orientation.
    pub reading: ImageOptions,
    /// Resizing, normalisation and padding, by the protocol's name and the side of the network's input in px. The protocol also
    /// says what is foreground.
    pub preprocess: Preprocess,
    /// The same in numbers, for readers of other programs; this program goes by the protocol's name.
    pub explained: Explained,
}

/// A protocol in numbers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Explained {
    /// What is done to the grey levels of 0 to 255 first; absent where nothing is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scaled: Option<String>,
    /// Subtracted from red, green and blue.
    pub mean: [f32; 3],
    /// Then divided by.
    pub standard_deviation: [f32; 3],
    /// What is foreground, as a condition on the logit.
    pub foreground: String,
}

impl Preprocessing {
    /// The protocol at one input size.
    ///
    /// # Errors
    /// A size that no input has.
    pub fn new(reading: ImageOptions, protocol: Protocol, input_size: usize) -> Result<Self> {
        let preprocess = Preprocess::new(protocol, input_size)?;
        let foreground = if protocol.is_foreground(0.0) { "logit >= 0" } else { "logit > 0" };
        let scaled =
            protocol.scales_each_image().then(|| "each image from its least to its largest value, to 0..1".into());
        let explained = Explained {
            scaled,
            mean: protocol.mean(),
            standard_deviation: protocol.standard_deviation(),
            foreground: foreground.into(),
        };
        Ok(Self { reading, preprocess, explained })
    }
}

/// Where a model comes from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Provenance {
    /// Hash of configuration, data and base model.
    pub identity: String,
    /// The resolved run file.
    pub run: RunConfig,
    /// The data set.
    pub data: DatasetCard,
    /// Trained parameters.
    pub trainable: usize,
    /// All parameters, adapters included.
    pub total: usize,
    /// Optimiser steps.
    pub steps: u64,
    /// Epoch of the selected checkpoint, from 0.
    pub epoch: Option<usize>,
    /// Its mean validation Dice.
    pub validation_dice: Option<f64>,
}

impl Manifest {
    /// A manifest of the oldest version that has this content; the files are filled in when the bundle is written.
    pub(super) fn new(content: Content, labels: Vec<String>, preprocessing: Preprocessing) -> Self {
        Self {
            format: FORMAT.into(),
            version: content.version().max(if preprocessing.preprocess.protocol() == Protocol::MedSam { 3 } else { 1 }),
            program: concat!("SALT-rs ", env!("CARGO_PKG_VERSION")).into(),
            content,
            labels,
            preprocessing,
            provenance: None,
            files: BTreeMap::new(),
        }
    }

    /// Parses the text of the file at `path`, which is named in messages only.
    ///
    /// # Errors
    /// No bundle, a newer version, or a field that is missing, unknown or of another type.
    pub fn parse(text: &[u8], path: &Path) -> Result<Self> {
        #[derive(Deserialize)]
        struct Head {
            format: Option<String>,
            version: Option<u32>,
        }
        let fail = |error: serde_json::Error| TrainError::format(path, error.to_string());
        let head: Head = serde_json::from_slice(text).map_err(fail)?;
        if head.format.as_deref() != Some(FORMAT) {
            let found = head.format.map_or_else(|| "none".into(), |found| format!("{found:?}"));
            return Err(TrainError::format(path, format!("field `format`: expected {FORMAT:?}, found {found}")));
        }
        match head.version {
            Some(version) if version > VERSION => {
                return Err(TrainError::NewerFormat { path: path.to_path_buf(), known: VERSION, found: version });
            }
            Some(1..=VERSION) => {}
            found => {
                let found = found.map_or_else(|| "none".into(), |found| found.to_string());
                let problem = format!("field `version`: expected 1 to {VERSION}, found {found}");
                return Err(TrainError::format(path, problem));
            }
        }
        let manifest: Self = serde_json::from_slice(text).map_err(fail)?;
        if manifest.labels.is_empty() {
            return Err(TrainError::format(path, "field `labels`: expected at least one name, found none"));
        }
        for name in manifest.files.keys() {
            if name.contains(['/', '\\']) || name.starts_with('.') {
                return Err(TrainError::format(path, format!("field `files`: {name:?} is not a plain file name")));
            }
        }
        Ok(manifest)
    }
}
