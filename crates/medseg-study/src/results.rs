//! What a comparison leaves behind: the content of `results.json`.

use crate::error::{Result, StudyError};
use crate::methods::{Family, TableId};
use medseg_train::data::DatasetCard;
use medseg_train::evaluate::CaseScore;
use medseg_train::log::EpochRecord;
use medseg_train::model::BaseModelCard;
use medseg_train::selection::BestOfEach;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::Path;

/// The version of `results.json` that this program writes and reads.
pub const VERSION: u32 = 2;

/// Everything a reader needs to judge, and a program to plot, a comparison of methods.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Results {
    /// Version of this format: [`VERSION`].
    pub version: u32,
    /// What this run is and is not, in a sentence or two ("demo profile ...").
    pub notice: String,
    /// Name of the profile.
    pub profile: String,
    /// The base model.
    pub base: BaseModelCard,
    /// Data sets, in table order.
    pub datasets: Vec<DatasetCard>,
    /// Methods, in table order.
    pub methods: Vec<MethodCard>,
    /// Finished cells.
    pub cells: Vec<CellResult>,
    /// Cells of the plan that have no result, as `data set / method / seed`.
    pub missing: Vec<String>,
    /// Settings common to all cells, by name.
    pub settings: BTreeMap<String, String>,
    /// Machine, backend and versions, by name.
    pub environment: BTreeMap<String, String>,
}

impl Results {
    /// Reads a `results.json`; nothing where there is none.
    ///
    /// # Errors
    /// The file cannot be read, is not of this kind, or is of another version.
    pub fn read(path: &Path) -> Result<Option<Self>> {
        #[derive(Deserialize)]
        struct Head {
            version: u32,
        }
        let text = match std::fs::read(path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(StudyError::Io { action: "cannot read", path: path.to_path_buf(), source }),
        };
        let fail = |error: serde_json::Error| StudyError::format(path, error.to_string());
        let Head { version } = serde_json::from_slice(&text).map_err(fail)?;
        if version != VERSION {
            let problem = format!("field `version`: expected {VERSION}, found {version}");
            return Err(StudyError::format(path, problem));
        }
        serde_json::from_slice(&text).map(Some).map_err(fail)
    }
}

/// A method as configured for this model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MethodCard {
    /// Short name in file names and on the command line.
    pub id: String,
    /// Name in tables.
    pub title: String,
    /// What it trains, in words.
    pub trains: String,
    /// The table it belongs to.
    pub table: TableId,
    /// What kind of method it is.
    pub family: Family,
    /// Trained parameters.
    pub trainable: usize,
    /// All parameters of the model, adapters included.
    pub total: usize,
    /// The method (id) that it is compared with, in a table that is no comparison of all with all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub against: Option<String>,
}

impl MethodCard {
    /// Share trained, in percent.
    pub fn percent(&self) -> f64 {
        100.0 * self.trainable as f64 / self.total.max(1) as f64
    }
}

/// One method on one data set with one seed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CellResult {
    /// Data set name.
    pub dataset: String,
    /// Method id.
    pub method: String,
    /// Seed of initial values, order and augmentation.
    pub seed: u64,
    /// Hash of configuration, data and base model: equal hashes mean equal results on the same kind of machine.
    pub identity: String,
    /// The learning rates tried; empty for a row that trains nothing.
    pub grid: Vec<GridPoint>,
    /// The rate chosen on validation data.
    pub learning_rate: Option<f64>,
    /// Optimiser steps of each training.
    pub steps: u64,
    /// Wall-clock seconds of the whole cell, all rates and the evaluation, over all processes that worked on it.
    pub seconds: f64,
    /// Scores of every test image at the one selected checkpoint.
    pub cases: Vec<CaseScore>,
    /// Names the metrics' definitions, policy, spacing and tolerance.
    pub metrics: String,
    /// Pictures.
    pub overlays: Vec<Overlay>,
    /// The configuration of the chosen training, resolved, as TOML.
    pub config: String,
    /// With the paper's way of reporting: the best value of each metric over all epochs, on the validation split.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub best_of_each: Option<BestOfEach>,
}

/// One learning rate of the grid.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct GridPoint {
    /// The rate.
    pub learning_rate: f64,
    /// Best mean validation Dice; absent where training diverged.
    pub validation_dice: Option<f64>,
    /// Epoch of the best.
    pub best_epoch: Option<usize>,
    /// The learning curve.
    pub curve: Vec<EpochRecord>,
    /// Why there is no score, where there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<String>,
    /// Why the training was given up before its budget was spent, where it was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub given_up: Option<String>,
    /// Seconds that giving up saved, at the pace of the epochs that were trained.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub saved_seconds: f64,
}

fn is_zero(seconds: &f64) -> bool {
    *seconds == 0.0
}

/// A picture of one test image.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Overlay {
    /// `worst`, `median` or `best` by Dice.
    pub rank: String,
    /// Sample id.
    pub id: String,
    /// Its Dice.
    pub dice: f64,
    /// PNG file, relative to the results' folder: image, then overlay.
    pub file: String,
}

impl CellResult {
    /// Mean of a metric over the test images that have it.
    pub fn mean(&self, metric: &str) -> Option<f64> {
        let values: Vec<f64> = self.cases.iter().filter_map(|case| case.values.get(metric).copied()).collect();
        (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
    }
}
