//! Checkpoints: Meta's `.pth`, Hugging Face and our own safetensors, and the files of trainers that wrap them.

mod hugging_face;
mod infer;
mod keys;
mod load;
mod sam2;
mod save;
mod wrappers;

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::path::Path;

use burn::tensor::Device;

use crate::{Sam, SamConfig, SamError};
use hugging_face::decoder_heads_beside;
use keys::{KeyMap, map_keys};
use named_tensors::NamedTensors;
use sam2::ModelKind;
use wrappers::Ambiguous;

pub(crate) use load::transpose;
pub(crate) use save::save_module;

/// The metadata key of our own files that holds the configuration as JSON.
const CONFIG_KEY: &str = "sam_config";

/// An opened checkpoint: names and shapes are known, values are read when a model is [loaded](Self::load).
///
/// Reading never executes anything: PyTorch files are parsed by a reader that only understands tensors and plain values,
/// with limits on every size it is told.
#[derive(Debug)]
pub struct Checkpoint {
    source: NamedTensors,
    keys: KeyMap,
}

/// What a successful load did beside copying every tensor to its place.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LoadReport {
    /// Number of tensors loaded.
    pub loaded: usize,
    /// Tensors of the file that are no part of the model and known to be so: optimizer states, losses,
    /// random states, image statistics, an averaged copy beside the model itself.
    pub ignored: Vec<String>,
    /// The video part of a SAM 2, which this crate has no use for.
    pub video: Vec<String>,
    /// Relative positions, or the parts of SAM 2's decoder, which [`SamVariant::Paper`](crate::SamVariant::Paper) does not have.
    pub dropped: Vec<String>,
    /// Tensors whose 64-bit values were rounded to f32, by the file's names.
    pub converted: Vec<String>,
    /// Tensors that were resampled: the absolute positions of [`SamVariant::Paper`](crate::SamVariant::Paper), average
    /// pooled to its grid.
    pub resampled: Vec<String>,
}

/// How many names a message has room for.
const NAMES_SHOWN: usize = 5;

/// The first names of a list, and how many more there are.
fn first_of<S: AsRef<str>>(names: &[S]) -> String {
    let mut text = names.iter().take(NAMES_SHOWN).map(AsRef::as_ref).collect::<Vec<_>>().join(", ");
    if names.len() > NAMES_SHOWN {
        text += &format!(" and {} more", names.len() - NAMES_SHOWN);
    }
    if text.is_empty() { "none".to_owned() } else { text }
}

fn several_models(source: &NamedTensors, found: Vec<(String, usize)>) -> SamError {
    let found: Vec<String> = found.into_iter().map(|(prefix, count)| format!("`{prefix}` ({count} tensors)")).collect();
    let reason = format!(
        "expected one model, found several: {}; save the one that you mean in a file of its own",
        first_of(&found)
    );
    SamError::format(source.path(), reason)
}

/// The three ways in which a checkpoint can fail to fit a model.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Mismatch {
    /// Tensors that the model has and the file has not, by the model's names.
    pub missing: Vec<String>,
    /// Tensors that the file has and the model has not, by the file's names.
    pub unexpected: Vec<String>,
    /// Tensors whose shapes differ, by the model's names, in the file's layout: (name, expected, found).
    pub misshaped: Vec<(String, Vec<usize>, Vec<usize>)>,
    /// All tensors of the file, by the file's names.
    pub found: Vec<String>,
}

impl Mismatch {
    /// Whether nothing is missing, unexpected or mis-shaped.
    pub fn is_empty(&self) -> bool {
        self.missing.is_empty() && self.unexpected.is_empty() && self.misshaped.is_empty()
    }
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let misshaped: Vec<String> = self
            .misshaped
            .iter()
            .map(|(name, expected, found)| format!("{name}: expected {expected:?}, found {found:?}"))
            .collect();
        write!(f, "expected, but missing ({}): {}", self.missing.len(), first_of(&self.missing))?;
        write!(f, "\nfound, but unexpected ({}): {}", self.unexpected.len(), first_of(&self.unexpected))?;
        write!(f, "\nmis-shaped ({}): {}", self.misshaped.len(), first_of(&misshaped))?;
        write!(f, "\nthe file holds {} tensors: {}", self.found.len(), first_of(&self.found))
    }
}

impl Checkpoint {
    /// Opens a file, whatever its kind, and reads its table of contents.
    ///
    /// # Errors
    /// [`SamError::Io`] and [`SamError::Format`] (truncated, corrupt, hostile, no checkpoint at all, or one of several models).
    pub fn open(path: impl AsRef<Path>) -> Result<Self, SamError> {
        let source = NamedTensors::open(path.as_ref())?;
        let keys = map_keys(source.names()).map_err(|Ambiguous(found)| several_models(&source, found))?;
        Ok(Self { source, keys })
    }

    /// The configuration that the file carries, or else the one that its shapes tell.
    ///
    /// The shapes of a SAM 2 do not show its windows, heads and global blocks: a published one is recognised by its width and its
    /// blocks per stage, of another Hugging Face's `config.json` beside its weights tells them.
    ///
    /// Two things are not visible in the shapes of a SAM that carries none: the decoder's number of heads, taken to be 8 as
    /// in every published SAM (Hugging Face's `config.json` beside its weights tells it), and how positions follow other input sizes,
    /// which is the default.
    ///
    /// # Errors
    /// [`SamError::Format`] if the carried configuration cannot be read, or if it, or the inferred one, is that of no model.
    pub fn config(&self) -> Result<SamConfig, SamError> {
        match self.source.metadata().get(CONFIG_KEY) {
            Some(json) => {
                let config: SamConfig = serde_json::from_str(json)
                    .map_err(|e| SamError::format(self.source.path(), format!("metadata `{CONFIG_KEY}`: {e}")))?;
                config.validate().map_err(|e| {
                    SamError::format(self.source.path(), format!("metadata `{CONFIG_KEY}` describes no model: {e}"))
                })?;
                Ok(config)
            }
            None if self.keys.kind == Some(ModelKind::Sam2) => {
                let beside = if self.keys.hugging_face { sam2::Beside::read(self.source.path())? } else { None };
                let config = sam2::infer_config(|name| self.keys.shape(&self.source, name), beside)
                    .map_err(|e| SamError::format(self.source.path(), format!("no SAM 2 that is known: {e}")))?;
                Ok(config)
            }
            None => {
                let config = self.infer_config()?;
                let heads = if self.keys.hugging_face { decoder_heads_beside(self.source.path())? } else { None };
                let config = SamConfig { decoder_heads: heads.unwrap_or(config.decoder_heads), ..config };
                config.validate().map_err(|e| SamError::format(self.source.path(), format!("no SAM: {e}")))?;
                Ok(config)
            }
        }
    }

    /// Makes a model of `config` with the file's weights.
    ///
    /// # Errors
    /// [`SamError::Mismatch`] with all missing, unexpected and mis-shaped tensors, before anything is read;
    /// [`SamError::Format`] and [`SamError::Io`] for tensors that cannot be read.
    pub fn load(&self, config: &SamConfig, device: &Device) -> Result<(Sam, LoadReport), SamError> {
        load::load(&self.source, &self.keys, config, device)
    }

    fn infer_config(&self) -> Result<SamConfig, SamError> {
        let video = self.source.names().filter(|name| sam2::names_video_part(name)).count();
        if self.keys.kind.is_none() && video > 0 {
            return Err(SamError::OtherModel {
                path: self.source.path().to_owned(),
                expected: "a model with an image encoder (tensors under `image_encoder.` or `vision_encoder.`)",
                found: "the video part of a SAM 2 alone (tensors under `memory_attention.` or `memory_encoder.`)",
            });
        }
        let missing: Vec<&str> = infer::NEEDED.into_iter().filter(|name| self.shape(name).is_none()).collect();
        if missing.is_empty() {
            return infer::infer_config(|name| self.shape(name))
                .map_err(|e| SamError::format(self.source.path(), format!("its shapes are those of no SAM: {e}")));
        }
        let found: Vec<&str> = self.source.names().collect();
        let reason = format!(
            "no SAM: expected tensors named {}; found {} tensors: {}",
            first_of(&missing),
            found.len(),
            first_of(&found)
        );
        Err(SamError::format(self.source.path(), reason))
    }

    fn shape(&self, model_name: &str) -> Option<&[usize]> {
        self.source.shape(self.keys.by_model_name.get(model_name)?)
    }
}

impl Sam {
    /// Reads a checkpoint in the configuration that it [carries or shows](Checkpoint::config).
    ///
    /// # Errors
    /// As [`Checkpoint::open`], [`Checkpoint::config`] and [`Checkpoint::load`].
    pub fn from_checkpoint(path: impl AsRef<Path>, device: &Device) -> Result<(Self, LoadReport), SamError> {
        let checkpoint = Checkpoint::open(path)?;
        let config = checkpoint.config()?;
        checkpoint.load(&config, device)
    }
}

/// The tensors of a file by name (shape and values), and its string metadata.
pub(crate) struct TensorFile {
    pub(crate) tensors: BTreeMap<String, (Vec<usize>, Vec<f32>)>,
    pub(crate) metadata: HashMap<String, String>,
}

impl TensorFile {
    pub(crate) fn read(path: &Path) -> Result<Self, SamError> {
        Self::read_some(path, |_| true)
    }

    /// The tensors whose names are wanted, and none of the others.
    pub(crate) fn read_some(path: &Path, wanted: impl Fn(&str) -> bool) -> Result<Self, SamError> {
        let source = NamedTensors::open(path)?;
        let read = |name: &str| {
            let shape = source.shape(name).unwrap_or_default().to_vec();
            Ok((name.to_owned(), (shape, source.read(name)?)))
        };
        let tensors = source.names().filter(|name| wanted(name)).map(read).collect::<Result<_, SamError>>()?;
        Ok(Self { tensors, metadata: source.metadata().clone() })
    }
}
