//! From a run to the files that ship.

use crate::plan::Plan;
use crate::run::Pretrained;
use crate::scores::Scores;
use burn::module::Module;
use half::f16;
use medseg_train::files::{self, sha256};
use medseg_train::{Result, TrainError};
use safetensors::tensor::{Dtype, SafeTensors, TensorView};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};

/// What is known of exported weights, for programs; `docs/sam-mini.md` says it in words.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Card {
    /// How to repeat the run.
    pub plan: Plan,
    /// Steps taken.
    pub steps: u64,
    /// Scenes seen, each once.
    pub scenes: u64,
    /// Wall-clock seconds of training.
    pub seconds: f64,
    /// Numbers of the model, without the dense head.
    pub parameters: usize,
    /// Size of the weights file in bytes.
    pub bytes: usize,
    /// SHA-256 of the weights file.
    pub sha256: String,
    /// Mean Dice on held-out scenes, by their size in px, measured with the weights as exported.
    pub scores: BTreeMap<usize, Scores>,
}

/// The files written by [`export`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExportedFiles {
    /// The model, f16, with Meta's key names and the configuration in the metadata.
    pub weights: PathBuf,
    /// The automatic token, one label ("line"), f32.
    pub prompt: PathBuf,
    /// The [`Card`] as JSON.
    pub card: PathBuf,
}

/// Names of the files beside the weights `<stem>.safetensors`.
fn files(weights: &Path) -> ExportedFiles {
    let stem = weights.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
    ExportedFiles {
        weights: weights.to_path_buf(),
        prompt: weights.with_file_name(format!("{stem}-prompt.safetensors")),
        card: weights.with_file_name(format!("{stem}.json")),
    }
}

/// Writes the weights in half precision, the automatic token and the card, and returns the card. `score` is given the model as
/// anyone will load it, that is rounded to half precision.
///
/// # Errors
/// A folder that cannot be written; a weight beyond the range of half precision.
pub fn export(
    pretrained: Pretrained,
    weights: &Path,
    score: impl FnOnce(&Pretrained) -> Result<BTreeMap<usize, Scores>>,
) -> Result<(Card, ExportedFiles)> {
    let files = files(weights);
    let folder = weights.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    std::fs::create_dir_all(folder).map_err(TrainError::io("cannot create", folder))?;
    let Pretrained { learner, step, plan, seconds } = pretrained;
    let parameters = learner.sam.num_params() + learner.automatic.num_params();

    let scratch = tempfile::NamedTempFile::new_in(folder).map_err(TrainError::io("cannot write in", folder))?;
    learner.sam.save(scratch.path())?;
    let full = std::fs::read(scratch.path()).map_err(TrainError::io("cannot read", scratch.path()))?;
    let content = halve(&full, weights)?;
    files::write(weights, &content)?;
    learner.automatic.save(&files.prompt, &["line".to_string()])?;

    let device = burn::tensor::Device::flex();
    let learner = super::learner::Learner::from_files(&files.weights, &files.prompt, learner, &device)?;
    let rounded = Pretrained { learner, step, plan: plan.clone(), seconds };
    let scores = score(&rounded)?;
    let scenes = (0..step).filter_map(|step| plan.settings(step)).map(|settings| settings.batch as u64).sum();
    let (bytes, sha256) = (content.len(), sha256(&content));
    let card = Card { plan, steps: step, scenes, seconds, parameters, bytes, sha256, scores };
    let text = serde_json::to_string_pretty(&card).map_err(|e| TrainError::format(&files.card, e.to_string()))?;
    files::write(&files.card, format!("{text}\n").as_bytes())?;
    Ok((card, files))
}

type HalfTensors = BTreeMap<String, (Vec<usize>, Vec<u8>)>;

/// A safetensors file in f32 as one in f16, metadata kept.
fn halve(full: &[u8], path: &Path) -> Result<Vec<u8>> {
    let fail = |error: safetensors::SafeTensorError| TrainError::format(path, error.to_string());
    let (_, header) = SafeTensors::read_metadata(full).map_err(fail)?;
    let tensors = SafeTensors::deserialize(full).map_err(fail)?;
    let mut halved = HalfTensors::new();
    for (name, view) in tensors.iter() {
        if view.dtype() != Dtype::F32 {
            return Err(TrainError::format(path, format!("{name}: expected f32, found {:?}", view.dtype())));
        }
        let (chunks, _) = view.data().as_chunks::<4>();
        let values: Vec<f32> = chunks.iter().map(|chunk| f32::from_le_bytes(*chunk)).collect();
        halved.insert(name.to_string(), (view.shape().to_vec(), round(&values, name, path)?));
    }
    serialize(halved, header.metadata().clone(), path)
}

fn round(values: &[f32], name: &str, path: &Path) -> Result<Vec<u8>> {
    let mut bytes = Vec::with_capacity(values.len() * 2);
    for &value in values {
        let half = f16::from_f32(value);
        if !half.is_finite() {
            return Err(TrainError::format(path, format!("{name}: {value} has no half-precision form")));
        }
        bytes.extend(half.to_le_bytes());
    }
    Ok(bytes)
}

fn serialize(tensors: HalfTensors, metadata: Option<HashMap<String, String>>, path: &Path) -> Result<Vec<u8>> {
    let fail = |error: safetensors::SafeTensorError| TrainError::format(path, error.to_string());
    let views = tensors
        .iter()
        .map(|(name, (shape, bytes))| {
            Ok((name.as_str(), TensorView::new(Dtype::F16, shape.clone(), bytes).map_err(fail)?))
        })
        .collect::<Result<Vec<_>>>()?;
    safetensors::serialize(views, metadata).map_err(fail)
}
