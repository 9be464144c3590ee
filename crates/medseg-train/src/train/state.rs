//! Everything that a killed run needs to go on to the same bits.

use crate::checkpoint::{NamedTensors, tensors};
use crate::error::{Result, TrainError};
use crate::evaluate::Validation;
use crate::log::EpochRecord;
use crate::loss_scale::LossScale;
use crate::model::Segmenter;
use crate::selection::{BestOfEach, Selection};
use burn::optim::ModuleOptimizer;
use burn::tensor::Bytes;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::iter::once_with;

/// Where a run is.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Progress {
    /// Optimiser steps done.
    pub(super) step: u64,
    /// The epoch under way.
    pub(super) epoch: usize,
    /// Optimiser steps of that epoch done.
    pub(super) group: usize,
    /// Sum of the losses of that epoch's images so far.
    pub(super) loss_sum: f64,
    /// Their number.
    pub(super) loss_count: usize,
    /// Wall-clock seconds spent, over all processes that worked on the run.
    pub(super) seconds: f64,
    /// Those in which images were prepared.
    #[serde(default)]
    pub(super) preparing_seconds: f64,
    /// Those in which the model was validated.
    #[serde(default)]
    pub(super) validating_seconds: f64,
    pub(super) selection: Selection,
    pub(super) stopped_early: bool,
    /// Why it was given up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) given_up: Option<String>,
    pub(super) curve: Vec<EpochRecord>,
    pub(super) best_of_each: BestSoFar,
    /// Where gradients are computed in f16.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) loss_scale: Option<LossScale>,
}

impl Progress {
    pub(super) fn mean_loss(&self) -> f64 {
        self.loss_sum / self.loss_count.max(1) as f64
    }
}

/// The paper's way of reporting, kept up epoch by epoch.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct BestSoFar {
    lowest_loss: Option<f64>,
    dice: Option<f64>,
    hd95: Option<f64>,
}

impl BestSoFar {
    pub(super) fn observe(&mut self, found: &Validation) {
        if let Some(loss) = found.loss
            && self.lowest_loss.is_none_or(|lowest| loss < lowest)
        {
            self.lowest_loss = Some(loss);
            self.dice = Some(found.dice);
        }
        if let Some(hd95) = found.hd95.filter(|hd95| hd95.is_finite())
            && self.hd95.is_none_or(|lowest| hd95 < lowest)
        {
            self.hd95 = Some(hd95);
        }
    }

    pub(super) fn reported(&self) -> Option<BestOfEach> {
        Some(BestOfEach { dice: self.dice?, hd95: self.hd95? })
    }
}

/// A run in memory.
pub(super) struct State {
    pub(super) model: Segmenter,
    pub(super) optimizer: ModuleOptimizer,
    /// The selected checkpoint so far.
    pub(super) best: Option<NamedTensors>,
    pub(super) progress: Progress,
}

const WEIGHTS: &str = "weights.safetensors";
const BEST: &str = "best.safetensors";
const OPTIMIZER: &str = "optimizer.bpk";
// TOML, since its numbers come back with the same bits; serde_json's do not always.
const PROGRESS: &str = "progress.toml";

/// The name of a file and its content.
type File = (&'static str, Vec<u8>);

impl State {
    pub(super) fn fresh(model: Segmenter, optimizer: ModuleOptimizer) -> Self {
        Self { model, optimizer, best: None, progress: Progress::default() }
    }

    /// The files of a checkpoint, each made when it is asked for.
    pub(super) fn files(&self) -> impl Iterator<Item = Result<File>> {
        let fail = |what: &str, error: String| TrainError::Model(format!("cannot save {what}: {error}"));
        let weights = move || -> Result<File> { Ok((WEIGHTS, tensors::to_bytes(&self.model.learned())?)) };
        let optimizer = move || -> Result<File> {
            let bytes = self.optimizer.into_bytes().map_err(|error| fail("the optimiser", error.to_string()))?;
            Ok((OPTIMIZER, bytes.try_into_vec::<u8>().unwrap_or_else(|bytes| bytes.to_vec())))
        };
        let progress = move || -> Result<File> {
            let text = toml::to_string(&self.progress).map_err(|error| fail("the position", error.to_string()))?;
            Ok((PROGRESS, text.into_bytes()))
        };
        let best = self.best.iter().map(|best| -> Result<File> { Ok((BEST, tensors::to_bytes(best)?)) });
        once_with(weights).chain(once_with(optimizer)).chain(once_with(progress)).chain(best)
    }

    /// The reverse of [`files`](Self::files) for a model and an optimiser made from the same configuration.
    pub(super) fn restore(
        model: Segmenter,
        optimizer: ModuleOptimizer,
        mut files: BTreeMap<String, Vec<u8>>,
    ) -> Result<Self> {
        let fail = |what: &str, error: String| TrainError::Model(format!("checkpoint, {what}: {error}"));
        let mut take = |name: &str| files.remove(name).ok_or_else(|| fail(name, "is missing".into()));
        let model = model.with_learned(tensors::from_bytes(&take(WEIGHTS)?)?)?;
        let optimizer = optimizer
            .from_bytes(Bytes::from_bytes_vec(take(OPTIMIZER)?))
            .map_err(|error| fail(OPTIMIZER, error.to_string()))?;
        let progress = toml::from_slice(&take(PROGRESS)?).map_err(|error| fail(PROGRESS, error.to_string()))?;
        let best = files.remove(BEST).map(|content| tensors::from_bytes(&content)).transpose()?;
        Ok(Self { model, optimizer, best, progress })
    }
}
