//! Runs that are small enough for a software device, and what is left of one.

use super::support::both;
use medseg_data::dataset::ArcadeTask;
use medseg_data::synth::{Counts, write_arcade};
use medseg_train::config::RunConfig;
use medseg_train::data::{PreparedData, prepare};
use medseg_train::log::EpochRecord;
use medseg_train::model::BaseModel;
use medseg_train::train::{Outcome, Silent, train};
use medseg_train::{StopFlag, TrainError};
use salt_peft::AdapterConfig;
use std::path::Path;
use tempfile::TempDir;

/// Side of images and inputs, in px. The kernels of one input size serve all runs: a software device spends most of its time on writing them.
const SIDE: usize = 64;

/// Optimiser steps of a run: two epochs of four images, two a step.
pub(crate) const STEPS: u64 = 4;

/// The layers that the paper adapts, and what it trains beside them.
const ADAPTED: [&str; 3] = [
    r"blocks\.\d+\.attn\.(qkv|proj)\.weight$",
    r"blocks\.\d+\.mlp\.lin[12]\.weight$",
    r"image_encoder\.neck\.[02]\.weight$",
];
const ALWAYS: [&str; 3] = ["norm", r"pos_embed$", r"prompt\."];

/// `adapter` on the paper's layers.
pub(crate) fn on_its_layers(adapter: AdapterConfig) -> AdapterConfig {
    adapter.with_include(ADAPTED).with_train(ALWAYS)
}

/// Data and base model, shared by runs.
pub(crate) struct Place {
    images: TempDir,
    data: PreparedData,
    base: BaseModel,
}

impl Place {
    /// Drawn vessels, and sam-mini.
    pub(crate) fn new() -> Self {
        let images = tempfile::tempdir().unwrap();
        write_arcade(images.path(), ArcadeTask::Syntax, SIDE, Counts { train: 4, val: 2, test: 1 }, 5).unwrap();
        let config = run_of(images.path());
        let data = prepare(&config.data, "drawn").unwrap();
        let [cpu, _] = both();
        let base = BaseModel::load(&config.model, config.data.image_size, &cpu).unwrap();
        Self { images, data, base }
    }

    /// A run of this method on this device.
    pub(crate) fn config(&self, adapter: &AdapterConfig, device: &str) -> RunConfig {
        RunConfig { adapter: Some(adapter.clone()), devices: vec![device.into()], ..run_of(self.images.path()) }
    }

    /// What came of the whole run in `directory`.
    pub(crate) fn outcome(&self, config: &RunConfig, directory: &Path) -> Outcome {
        let outcome = train(config, &self.data, &self.base, directory, &StopFlag::new(), &Silent).unwrap();
        assert_eq!((&outcome.failure, outcome.steps), (&None, STEPS));
        outcome
    }

    /// Its learning curve.
    pub(crate) fn finish(&self, config: &RunConfig, directory: &Path) -> Vec<EpochRecord> {
        self.outcome(config, directory).curve
    }

    /// The same up to a checkpoint after so many steps.
    pub(crate) fn stop_after(&self, steps: u64, config: &RunConfig, directory: &Path) {
        let stop = StopFlag::after_steps(steps);
        let error = train(config, &self.data, &self.base, directory, &stop, &Silent).unwrap_err();
        assert!(matches!(error, TrainError::Stopped { .. }), "{error}");
    }
}

fn run_of(images: &Path) -> RunConfig {
    let mut config = RunConfig::new(images);
    config.data.image_size = SIDE;
    config.data.allow_empty_masks = true;
    config.model.base = "sam-mini".into();
    config.training.epochs = 2;
    config.training.batch_size = 2;
    config.evaluation.batch_size = 2;
    config
}

/// The largest difference of two curves: of a loss, as a share of the expected one, and of a Dice.
pub(crate) fn apart(found: &[EpochRecord], expected: &[EpochRecord]) -> (f64, f64) {
    assert_eq!(found.len(), expected.len());
    let dice = |epoch: &EpochRecord| epoch.validation_dice.unwrap();
    found.iter().zip(expected).fold((0.0, 0.0), |(loss, score), (found, expected)| {
        assert!(found.loss.is_finite() && expected.loss > 0.0, "{found:?}, {expected:?}");
        let of_loss = (found.loss - expected.loss).abs() / expected.loss;
        (of_loss.max(loss), (dice(found) - dice(expected)).abs().max(score))
    })
}
