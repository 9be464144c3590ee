//! One cell: train at every rate of the grid, choose on validation, evaluate the chosen checkpoint once.

use super::give_up::{RULE, hopeless, saved};
use super::plan::{Cell, slug};
use super::profile::Profile;
use crate::error::{Result, StudyError};
use crate::methods::{MethodRow, RowPrompt};
use crate::results::{CellResult, GridPoint, Overlay};
use medseg_metrics::Metric;
use medseg_train::StopFlag;
use medseg_train::checkpoint::RunLock;
use medseg_train::config::{ModelConfig, Precision, RunConfig};
use medseg_train::data::PreparedData;
use medseg_train::device;
use medseg_train::evaluate::{Evaluation, evaluate, merged};
use medseg_train::files::{self, sha256};
use medseg_train::log::EpochRecord;
use medseg_train::model::{BaseModel, Segmenter};
use medseg_train::network::NetworkChoice;
use medseg_train::overlay::case_panel;
use medseg_train::prompted::evaluate_prompted;
use medseg_train::train::{self, Observer, Outcome, load_best, train_unless};
use std::path::{Path, PathBuf};
use std::time::Instant;

/// What a cell runs on.
#[derive(Debug, Clone, Copy)]
pub struct CellInput<'a> {
    /// Budget, loss, metrics.
    pub profile: &'a Profile,
    /// The method.
    pub row: &'a MethodRow,
    /// The images.
    pub data: &'a PreparedData,
    /// The base, or random weights for the rows that start from them: of the base's architecture or of a classic network.
    pub base: &'a BaseModel,
    /// Where results go.
    pub out: &'a Path,
}

/// A classic network with random weights.
pub(super) fn network_model(network: &NetworkChoice, seed: u64) -> ModelConfig {
    ModelConfig { base: "random".into(), network: Some(network.clone()), seed, ..ModelConfig::default() }
}

impl CellInput<'_> {
    /// The configuration of the cell's training at one rate.
    pub fn config(&self, cell: &Cell, rate: f64) -> RunConfig {
        let mut config = self.profile.template.clone();
        config.seed = cell.seed;
        let source = self.profile.datasets.iter().find(|source| source.name == cell.dataset);
        if let Some(source) = source {
            config.data = source.config.clone();
        }
        config.data.path = self.data.path.clone();
        match &self.row.network {
            Some(network) => config.model = network_model(network, cell.seed),
            None if self.row.from_random => {
                config.model.base = "random".into();
                config.model.seed = cell.seed;
            }
            None => {}
        }
        config.adapter = self.row.adapter.clone();
        config.loss.terms.extend(self.row.more_losses.iter().cloned());
        if matches!(self.row.prompt, Some(RowPrompt::Reference(_))) {
            config.model = self.profile.prompted_model();
        }
        if let Some(protocol) = self.row.protocol {
            (config.data.protocol, config.data.image_size) = (protocol, self.data.image_size());
            // The base's own input may be much larger than that of the other rows.
            config.evaluation.batch_size = 1;
        }
        config.training.learning_rate = rate;
        config.training.precision = self.precision();
        config
    }

    /// How exactly the cell multiplies.
    pub(super) fn precision(&self) -> Precision {
        self.row.precision.unwrap_or(self.profile.template.training.precision)
    }

    /// The rates that the cell tries; none for a row that trains nothing.
    fn rates(&self) -> &[f64] {
        if self.row.adapter.is_some() { &self.profile.rates } else { &[] }
    }

    /// Hash of everything that determines the cell's result.
    ///
    /// # Errors
    /// None in practice.
    pub fn identity(&self, cell: &Cell) -> Result<String> {
        let mut text = String::new();
        for &rate in self.rates() {
            text.push_str(&train::identity(&self.config(cell, rate), self.data, self.base)?);
        }
        if self.rates().len() > 1 {
            text.push_str(RULE);
        }
        if self.rates().is_empty() {
            text.push_str(&train::identity(&self.config(cell, 1.0), self.data, self.base)?);
        }
        if let Some(prompt) = self.row.prompt {
            text.push_str(&format!("{prompt:?}"));
        }
        if self.row.protocol.is_some() {
            text.push_str(&format!("scored at {} px", self.data.grid_size()));
        }
        Ok(sha256(text.as_bytes()))
    }

    /// The cell's folder: results of other settings lie beside it, not in it.
    fn folder(&self, cell: &Cell, identity: &str) -> PathBuf {
        let short: String = identity.chars().take(10).collect();
        self.out.join("cells").join(slug(&cell.dataset)).join(&cell.method).join(format!("seed-{}-{short}", cell.seed))
    }

    /// The cell's result, if it is finished.
    ///
    /// # Errors
    /// The file is there but cannot be read.
    pub fn finished(&self, cell: &Cell) -> Result<Option<CellResult>> {
        let identity = self.identity(cell)?;
        let path = self.folder(cell, &identity).join("result.json");
        let text = match std::fs::read(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(StudyError::Io { action: "cannot read", path, source }),
        };
        let result: CellResult =
            serde_json::from_slice(&text).map_err(|error| StudyError::format(&path, error.to_string()))?;
        if result.identity != identity {
            return Err(StudyError::format(&path, "belongs to another run; remove the folder"));
        }
        Ok(Some(result))
    }

    /// Runs the cell, or what is left of it, or nothing where it is finished.
    ///
    /// # Errors
    /// As [`train()`](train::train()); another process works on the cell; the stop flag was raised.
    pub fn run(&self, cell: &Cell, stop: &StopFlag, observer: &dyn Observer) -> Result<CellResult> {
        if let Some(result) = self.finished(cell)? {
            return Ok(result);
        }
        let identity = self.identity(cell)?;
        let folder = self.folder(cell, &identity);
        let _lock = RunLock::acquire(&folder)?;
        let mut grid = Vec::new();
        let mut outcomes: Vec<(f64, PathBuf, Outcome)> = Vec::new();
        let mut smaller = Vec::new();
        for &rate in self.rates() {
            let run = folder.join(format!("rate-{rate}"));
            let config = self.config(cell, rate);
            let epochs = config.training.epochs;
            let gives_up = |curve: &[EpochRecord]| hopeless(curve, &smaller, epochs);
            let outcome = train_unless(&config, self.data, self.base, &run, stop, observer, &gives_up)?;
            smaller.push(outcome.curve.clone());
            let saved_seconds = match outcome.given_up {
                Some(_) => saved(outcome.seconds, outcome.curve.len(), epochs),
                None => 0.0,
            };
            grid.push(GridPoint {
                learning_rate: rate,
                validation_dice: outcome.validation_dice,
                best_epoch: outcome.best_epoch,
                curve: outcome.curve.clone(),
                failure: outcome.failure.clone(),
                given_up: outcome.given_up.clone(),
                saved_seconds,
            });
            outcomes.push((rate, run, outcome));
        }
        let trained: f64 = outcomes.iter().map(|(.., outcome)| outcome.seconds).sum();
        let first = self.config(cell, self.profile.template.training.learning_rate);
        let device = device::open(&first.devices[0])?;
        // The best on validation; of equals the smaller rate, which comes first.
        let chosen = outcomes
            .iter()
            .filter(|(_, _, outcome)| outcome.validation_dice.is_some())
            .reduce(|best, next| if next.2.validation_dice > best.2.validation_dice { next } else { best });
        let (model, config) = match chosen {
            Some((rate, run, _)) => {
                let config = self.config(cell, *rate);
                (load_best(&config, self.base, run, &device)?, config)
            }
            None if self.rates().is_empty() => (self.base.segmenter(), first),
            None => {
                let problem = format!("{cell}: training diverged at every learning rate of the grid");
                return Err(StudyError::Plan(problem));
            }
        };
        let evaluating = Instant::now();
        let (model, cases) = (merged(&model), &self.data.test);
        let evaluation = match self.row.prompt {
            Some(RowPrompt::Reference(prompt)) => {
                let asked = (prompt, cell.seed);
                let sam = &model.require_sam("a row that the reference prompts")?.sam;
                evaluate_prompted(sam, asked, self.data, cases, &config.evaluation, &device, stop)?
            }
            _ => evaluate(&model, self.data, cases, &config.evaluation, &device, stop)?,
        };
        let overlays = self.pictures(&folder, &evaluation)?;
        let csv = folder.join("cases.csv");
        let mut rows = Vec::new();
        evaluation.report.write_csv(&mut rows)?;
        files::write(&csv, &rows)?;
        let lock = evaluation.report.lock();
        let metrics: Vec<String> = lock.fields().iter().map(|(name, value)| format!("{name} {value}")).collect();
        let result = CellResult {
            dataset: cell.dataset.clone(),
            method: cell.method.clone(),
            seed: cell.seed,
            identity,
            grid,
            learning_rate: chosen.map(|(rate, ..)| *rate),
            steps: chosen.map_or(0, |(_, _, outcome)| outcome.steps),
            seconds: trained + evaluating.elapsed().as_secs_f64(),
            cases: evaluation.cases(),
            metrics: format!("{} (fingerprint {})", metrics.join("; "), lock.fingerprint()),
            overlays,
            config: config.to_toml()?,
            best_of_each: chosen.and_then(|(_, _, outcome)| outcome.best_of_each),
        };
        let text = serde_json::to_vec_pretty(&result)
            .map_err(|error| StudyError::format(&folder.join("result.json"), error.to_string()))?;
        files::write(&folder.join("result.json"), &text)?;
        Ok(result)
    }

    /// Overlays of the worst, the median and the best test image by Dice.
    fn pictures(&self, folder: &Path, evaluation: &Evaluation) -> Result<Vec<Overlay>> {
        let mut order: Vec<(usize, f64)> = evaluation
            .report
            .cases()
            .iter()
            .enumerate()
            .filter_map(|(index, case)| Some((index, case.value(Metric::Dice)?)))
            .collect();
        order.sort_by(|a, b| a.1.total_cmp(&b.1).then(a.0.cmp(&b.0)));
        let Some(last) = order.len().checked_sub(1) else { return Ok(Vec::new()) };
        let mut picks = vec![("worst", 0), ("median", last / 2), ("best", last)];
        picks.dedup_by_key(|(_, at)| *at);
        let mut overlays = Vec::new();
        for (rank, at) in picks {
            let (index, dice) = order[at];
            let case = &self.data.test[index];
            let Some(picture) = case_panel(case, &evaluation.pairs[index], PICTURE_SIDE)? else { continue };
            let path = folder.join(format!("{rank}.png"));
            let mut png = std::io::Cursor::new(Vec::new());
            let fail = |source| StudyError::Picture { path: path.clone(), source };
            picture.write_to(&mut png, image::ImageFormat::Png).map_err(fail)?;
            files::write(&path, &png.into_inner())?;
            let file = path.strip_prefix(self.out).unwrap_or(&path).to_string_lossy().replace('\\', "/");
            overlays.push(Overlay { rank: rank.into(), id: case.id.clone(), dice, file });
        }
        Ok(overlays)
    }
}

/// Longest side of an image in a report, px.
const PICTURE_SIDE: u32 = 192;

/// The merged model of a finished cell, for saving.
///
/// # Errors
/// The cell is not finished, or its weights do not fit.
pub fn cell_model(input: &CellInput<'_>, cell: &Cell) -> Result<Segmenter> {
    let result = input.finished(cell)?.ok_or_else(|| StudyError::Plan(format!("{cell} is not finished")))?;
    let Some(rate) = result.learning_rate else { return Ok(input.base.segmenter()) };
    let config = input.config(cell, rate);
    let device = device::open(&config.devices[0])?;
    let run = input.folder(cell, &result.identity).join(format!("rate-{rate}"));
    Ok(merged(&load_best(&config, input.base, &run, &device)?))
}
