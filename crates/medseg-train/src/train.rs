//! The training loop.

mod checkpointed;
mod copies;
mod data_parallel;
mod share;
mod state;

use crate::bundle::{Bundle, BundleContent, MANIFEST_FILE, Preprocessing, Provenance, write_adapter, write_weights};
use crate::checkpoint::{CheckpointStore, RunLock};
use crate::config::RunConfig;
use crate::data::PreparedData;
use crate::device;
use crate::embeddings::{Embeddings, Encoding};
use crate::error::{Result, TrainError};
use crate::evaluate::{merged, validate};
use crate::files;
use crate::gradients::{self, global_norm};
use crate::log::{EpochRecord, Event, Log};
use crate::model::{BaseModel, Segmenter};
use crate::room::check_room;
use crate::schedule::Position;
use crate::selection::BestOfEach;
use crate::stop::StopFlag;
use burn::module::Module;
use burn::optim::{GradientsAccumulator, GradientsParams};
use burn::tensor::{Device, Tensor};
use burn_kernels::{Precision, PrecisionError, check_precision_on, keep_packed, release_set_aside, use_precision};
pub use checkpointed::gradients as checkpointed_gradients;
use data_parallel::DataParallel;
use salt_peft::{BasisStorage, Method, first_non_finite, first_non_finite_gradient, store_frozen_in_half};
use sam_model::{PreprocessError, SamError};
use seg_baselines::{Draws, Network, NetworkConfig};
use serde::{Deserialize, Serialize};
use share::Share;
use state::{Progress, State};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

/// Hears of progress; every method does nothing unless overridden.
pub trait Observer: Send + Sync {
    /// After each optimiser step: steps done, steps of the whole run, mean loss of the epoch so far.
    fn step(&self, _done: u64, _total: u64, _loss: f64) {}
    /// After each epoch.
    fn epoch(&self, _record: &EpochRecord) {}
    /// Something the user should know.
    fn warning(&self, _text: &str) {}
}

/// Whether a training is given up, and why: asked after each epoch that was validated, with the learning curve so far. The answer must
/// follow from the curve (and from what was there before the training), so that a run that is continued gets the same one.
pub type GivesUp<'a> = dyn Fn(&[EpochRecord]) -> Option<String> + 'a;

/// Hears nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct Silent;

impl Observer for Silent {}

/// What a finished training leaves: the content of `outcome.toml`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Outcome {
    /// Hash of configuration, data and base model.
    pub identity: String,
    /// SHA-256 of the base model's weights.
    pub base: String,
    /// Trainable numbers.
    pub trainable: usize,
    /// All numbers, adapters included.
    pub total: usize,
    /// Optimiser steps done.
    pub steps: u64,
    /// Those of them that were left out, because gradients in f16 were not finite.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub skipped_steps: u64,
    /// Wall-clock seconds of training and validation, over all processes that worked on the run.
    pub seconds: f64,
    /// Those of them in which training images were augmented and normalised.
    #[serde(default)]
    pub preparing_seconds: f64,
    /// Those of them that validation took.
    #[serde(default)]
    pub validating_seconds: f64,
    /// Epoch of the selected checkpoint, from 0.
    pub best_epoch: Option<usize>,
    /// Its mean validation Dice.
    pub validation_dice: Option<f64>,
    /// The learning curve.
    pub curve: Vec<EpochRecord>,
    /// The paper's way of reporting, where asked for.
    pub best_of_each: Option<BestOfEach>,
    /// Why there is no checkpoint, where there is none (the loss diverged).
    pub failure: Option<String>,
    /// Why the training was given up before its budget was spent, where it was. Its best checkpoint counts all the same.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub given_up: Option<String>,
}

fn is_zero(count: &u64) -> bool {
    *count == 0
}

/// SHA-256 of what determines a training: the resolved configuration, the data's content and the base's weights. Devices
/// are left out: they do not say what is computed.
///
/// # Errors
/// None in practice.
pub fn identity(config: &RunConfig, data: &PreparedData, base: &BaseModel) -> Result<String> {
    let mut config = config.clone();
    config.devices = vec!["any".into()];
    // Where the data lie and what the base is called does not matter, what they hold does.
    config.data.path = "data".into();
    config.model.base = "base".into();
    config.model.clip = None;
    config.model.encoder = None;
    config.training.checkpoint_seconds = 0;
    config.training.basis = BasisStorage::default();
    // It changes how much memory a step takes, and no bit of its result.
    config.training.activation_checkpointing = false;
    config.training.keep_embeddings_mib = None;
    config.training.keep_packed_mib = None;
    let text = format!("{}\ndata {}\nbase {}\n", config.to_toml()?, data.card.sha256, base.card.sha256);
    Ok(crate::files::sha256(text.as_bytes()))
}

/// Trains in `directory`, continuing what is there, and returns the outcome; a finished training is returned as it is.
///
/// The selected weights are in `directory/best.safetensors` (see [`load_best`]).
///
/// # Errors
/// Another process uses the directory, it holds another run, a file cannot be written, the model does not fit the data, a device of
/// another process is lost, or the stop flag was raised ([`TrainError::Stopped`], with the state saved). A loss that is not finite is no
/// error here but an outcome without checkpoint.
pub fn train(
    config: &RunConfig,
    data: &PreparedData,
    base: &BaseModel,
    directory: &Path,
    stop: &StopFlag,
    observer: &dyn Observer,
) -> Result<Outcome> {
    train_unless(config, data, base, directory, stop, observer, &|_| None)
}

/// The same, given up where `gives_up` has a reason: the best checkpoint until then counts.
///
/// # Errors
/// As [`train()`].
pub fn train_unless(
    config: &RunConfig,
    data: &PreparedData,
    base: &BaseModel,
    directory: &Path,
    stop: &StopFlag,
    observer: &dyn Observer,
    gives_up: &GivesUp<'_>,
) -> Result<Outcome> {
    config.validate()?;
    let action = || trained(config, data, base, directory, (stop, observer, gives_up));
    device::watched(action, |ended| !matches!(ended, Ok(_) | Err(TrainError::Stopped { .. })))?
}

/// Multiplies in `precision` from now on, in the whole process, and opens these devices.
///
/// # Errors
/// A device that this build or machine does not have, or one that does not multiply so.
pub fn choose_precision(precision: Precision, devices: &[String]) -> Result<Vec<Device>> {
    let devices = devices.iter().map(|name| device::open(name)).collect::<Result<Vec<_>>>()?;
    let fail = |error: PrecisionError| TrainError::config("training.precision", error.reason);
    devices.iter().try_for_each(|device| check_precision_on(precision, device)).map_err(fail)?;
    use_precision(precision).map_err(fail)?;
    Ok(devices)
}

fn trained(
    config: &RunConfig,
    data: &PreparedData,
    base: &BaseModel,
    directory: &Path,
    (stop, observer, gives_up): (&StopFlag, &dyn Observer, &GivesUp<'_>),
) -> Result<Outcome> {
    let adapter = config.adapter.as_ref().ok_or_else(|| TrainError::config("adapter", "nothing to train"))?;
    let mut adapter = adapter.clone();
    adapter.seed.get_or_insert(config.seed);
    let _lock = RunLock::acquire(directory)?;
    let identity = identity(config, data, base)?;
    if let Some(outcome) = finished(directory, &identity)? {
        return Ok(outcome);
    }
    let devices = choose_precision(config.training.precision, &config.devices)?;
    keep_packed(config.training.keep_packed_mib.map_or(0, |mebibytes| (mebibytes as usize).saturating_mul(1 << 20)));
    claim(config, directory, &identity)?;
    check_batches(config, data, base)?;
    let model = base.adapted(Some(&adapter), &devices[0])?;
    if config.training.activation_checkpointing {
        checkpointed::encoder(&model.segmenter)?;
    }
    check_disk(directory, model.trainable)?;
    for warning in &model.warnings {
        observer.warning(warning);
    }
    let store = CheckpointStore::new(directory);
    let mut state = match store.newest()? {
        Some((_, files)) => State::restore(model.segmenter, config.optimizer.init(), files)?,
        None => State::fresh(model.segmenter, config.optimizer.init()),
    };
    if config.training.precision == Precision::F16 {
        let (model, saved) = store_frozen_in_half(state.model);
        tracing::info!("frozen weights are stored in f16, which saves {} MiB of each device", saved >> 20);
        state.model = model;
    }
    let mut log = Log::open(&directory.join("log.jsonl"))?;
    log.write(&Event::Start {
        config: identity.clone(),
        step: state.progress.step,
        trainable: model.trainable,
        total: model.total,
    })?;
    let kept = Embeddings::of_run(config, data, &state.model, directory)?.map(Arc::new);
    let encoding = Encoding { frozen: state.model.has_frozen_encoder(), kept };
    let parallel = (devices.len() > 1).then(|| DataParallel::new(&devices));
    let now = Instant::now();
    let mut run = Loop {
        config,
        data,
        devices,
        parallel,
        encoding,
        preparing: AtomicU64::new(0),
        stop,
        observer,
        gives_up,
        store,
        log,
        saved: now,
        lap: now,
    };
    let before = state.progress.seconds;
    let ended = run.run_epochs(state);
    let (progress, best, failure) = match ended {
        Ok(state) => (state.progress, state.best, None),
        Err(TrainError::Diverged { value, step, epoch, place }) => {
            let failure = TrainError::Diverged { value, step, epoch, place }.to_string();
            observer.warning(&failure);
            let seconds = before + now.elapsed().as_secs_f64();
            (Progress { step, seconds, ..Progress::default() }, None, Some(failure))
        }
        Err(error) => return Err(error),
    };
    if let Some(skipped) = progress.loss_scale.map(|scale| scale.skipped).filter(|skipped| *skipped > 0) {
        observer
            .warning(&format!("{skipped} of {} steps were left out: their gradients were beyond f16", progress.step));
    }
    if let Some(best) = &best {
        files::write(&directory.join("best.safetensors"), &crate::checkpoint::tensors::to_bytes(best)?)?;
    }
    let outcome = Outcome {
        identity,
        base: base.card.sha256.clone(),
        trainable: model.trainable,
        total: model.total,
        steps: progress.step,
        skipped_steps: progress.loss_scale.map_or(0, |scale| scale.skipped),
        seconds: progress.seconds,
        preparing_seconds: progress.preparing_seconds,
        validating_seconds: progress.validating_seconds,
        best_epoch: progress.selection.best_epoch,
        validation_dice: progress.selection.best_score,
        curve: progress.curve,
        best_of_each: progress.best_of_each.reported(),
        failure,
        given_up: progress.given_up,
    };
    let path = directory.join("outcome.toml");
    let text = toml::to_string(&outcome).map_err(|error| TrainError::format(&path, error.to_string()))?;
    files::write(&path, text.as_bytes())?;
    if let (Some(best_epoch), Some(validation_dice)) = (outcome.best_epoch, outcome.validation_dice) {
        run.log.write(&Event::Finished { step: outcome.steps, best_epoch, validation_dice })?;
    }
    run.store.clear()?;
    Ok(outcome)
}

/// The outcome of a training that ended in `directory`, if it is the one of this identity.
///
/// # Errors
/// The file cannot be read, or belongs to another run.
pub fn finished(directory: &Path, identity: &str) -> Result<Option<Outcome>> {
    let path = directory.join("outcome.toml");
    let text = match std::fs::read(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(source) => return Err(TrainError::Io { action: "cannot read", path, source }),
    };
    let outcome: Outcome = toml::from_slice(&text).map_err(|error| TrainError::format(&path, error.to_string()))?;
    if outcome.identity != identity {
        return Err(other_run(directory, identity, &outcome.identity));
    }
    Ok(Some(outcome))
}

fn other_run(directory: &Path, expected: &str, found: &str) -> TrainError {
    let short = |hash: &str| hash.chars().take(12).collect::<String>();
    TrainError::OtherRun { path: directory.to_path_buf(), expected: short(expected), found: short(found) }
}

/// Name of the file that says whose directory it is.
const IDENTITY: &str = "identity";

/// Whether the directory is marked as this run's already; another run's mark is an error.
fn is_claimed(directory: &Path, identity: &str) -> Result<bool> {
    let path = directory.join(IDENTITY);
    match std::fs::read_to_string(&path) {
        Ok(found) if found.trim() == identity => Ok(true),
        Ok(found) => Err(other_run(directory, identity, found.trim())),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(false),
        Err(source) => Err(TrainError::Io { action: "cannot read", path, source }),
    }
}

/// What a run writes into its directory. None of it may be there before the directory is marked.
const OWN: [&str; 6] = ["run.toml", "log.jsonl", "outcome.toml", "best.safetensors", "checkpoints", "bundle"];

/// Refuses a directory that is not marked as a run's and holds something under a name that a run writes: it is the user's.
fn is_free(directory: &Path) -> Result<()> {
    match OWN.iter().map(|name| directory.join(name)).find(|path| path.exists()) {
        None => Ok(()),
        Some(path) => Err(TrainError::Occupied { path }),
    }
}

/// Marks the directory as this run's, or checks that it is.
fn claim(config: &RunConfig, directory: &Path, identity: &str) -> Result<()> {
    let resolved = directory.join("run.toml");
    if is_claimed(directory, identity)? {
        if resolved.is_file() {
            return Ok(());
        }
    } else {
        is_free(directory)?;
        // The mark goes first: a kill between the two leaves a marked directory, which the same run takes.
        files::write(&directory.join(IDENTITY), format!("{identity}\n").as_bytes())?;
    }
    files::write(&resolved, config.to_toml()?.as_bytes())
}

fn is_nan_logit(error: &SamError) -> bool {
    matches!(error, SamError::Preprocess(PreprocessError::NanLogit { .. }))
}

/// Bytes of the selected weights of a finished run with `trainable` trained numbers (f32).
pub fn outcome_bytes(trainable: usize) -> u64 {
    4 * trainable as u64
}

/// Bytes that a run with `trainable` trained numbers needs at most while it works: three checkpoints (two kept, one being
/// written), each of the weights, the best weights so far and two moments of the optimiser, and the selected weights.
pub fn disk_bytes(trainable: usize) -> u64 {
    (3 * 4 + 1) * outcome_bytes(trainable)
}

/// Checks that the run's directory can be written and has room; a run that has checkpoints already has taken its room.
fn check_disk(directory: &Path, trainable: usize) -> Result<()> {
    let begun = CheckpointStore::new(directory).exists();
    check_room(directory, if begun { 0 } else { disk_bytes(trainable) })
}

/// Checks what [`train()`] needs of its batches and its directory, without training: a network can train on batches of this size, the
/// directory can be written and has room for the checkpoints of `trainable` numbers, no other process works in it, and it holds
/// no other run.
///
/// # Errors
/// The first of these that does not hold.
pub fn check_directory(
    config: &RunConfig,
    data: &PreparedData,
    base: &BaseModel,
    trainable: usize,
    directory: &Path,
) -> Result<()> {
    check_batches(config, data, base)?;
    check_disk(directory, trainable)?;
    let _lock = RunLock::acquire(directory)?;
    let identity = identity(config, data, base)?;
    if finished(directory, &identity)?.is_none() && !is_claimed(directory, &identity)? {
        is_free(directory)?;
    }
    Ok(())
}

/// The selected model of a finished training, adapters attached, on `device`.
///
/// # Errors
/// There is none, or it does not fit the configuration.
pub fn load_best(config: &RunConfig, base: &BaseModel, directory: &Path, device: &Device) -> Result<Segmenter> {
    let mut adapter = config.adapter.clone();
    if let Some(adapter) = &mut adapter {
        adapter.seed.get_or_insert(config.seed);
    }
    let model = base.adapted(adapter.as_ref(), device)?.segmenter;
    let path = directory.join("best.safetensors");
    let content = std::fs::read(&path).map_err(TrainError::io("cannot read", &path))?;
    model.with_learned(crate::checkpoint::tensors::from_bytes(&content)?)
}

/// Checks that a classic network can train on the batches of this run and on its devices; a SAM trains on all.
///
/// # Errors
/// A batch of too few images for its norms; several devices for a network with batch norms.
pub fn check_batches(config: &RunConfig, data: &PreparedData, base: &BaseModel) -> Result<()> {
    let Some(network) = base.network() else { return Ok(()) };
    if config.devices.len() > 1 && !base.segmenter().statistics().is_empty() {
        let problem = format!(
            "{} has batch norms, which take their statistics of the images of one device; expected one device, found {:?}",
            network.architecture.name(),
            config.devices
        );
        return Err(TrainError::config("devices", problem));
    }
    let images = config.training.batch_size.min(data.train.len());
    let side = data.image_size();
    network.check_images([images, 3, side, side], true).map_err(|error| {
        let problem = format!(
            "{error} (training.batch-size {}, {} training images)",
            config.training.batch_size,
            data.train.len()
        );
        TrainError::config("training.batch-size", problem)
    })
}

/// The images of one backward pass: those of `part`, filled up from the beginning of the epoch's order where a network's norms
/// cannot train on so few. That is one image more in the last batch of an epoch, and concerns a DeepLabV3+ with a single image
/// left over.
fn filled(part: &[usize], order: &[usize], network: Option<&NetworkConfig>, side: usize) -> Vec<usize> {
    let mut images = part.to_vec();
    let Some(network) = network else { return images };
    let mut spare = order.iter().filter(|image| !part.contains(image));
    while network.check_images([images.len(), 3, side, side], true).is_err() {
        match spare.next() {
            Some(&image) => images.push(image),
            None => break,
        }
    }
    images
}

struct Loop<'a> {
    config: &'a RunConfig,
    data: &'a PreparedData,
    devices: Vec<Device>,
    /// Where there are several devices.
    parallel: Option<DataParallel>,
    encoding: Encoding,
    /// Microseconds of the step under way in which images were prepared.
    preparing: AtomicU64,
    stop: &'a StopFlag,
    observer: &'a dyn Observer,
    gives_up: &'a GivesUp<'a>,
    store: CheckpointStore,
    log: Log,
    saved: Instant,
    /// Until when time has been counted.
    lap: Instant,
}

impl Loop<'_> {
    fn run_epochs(&mut self, mut state: State) -> Result<State> {
        let training = &self.config.training;
        let group = training.batch_size * training.accumulate;
        let per_epoch = self.data.train.len().div_ceil(group) as u64;
        let total = per_epoch * training.epochs as u64;
        let mut told = false;
        while state.progress.epoch < training.epochs && !state.progress.stopped_early {
            let started = Instant::now();
            let epoch = state.progress.epoch;
            let order = self.data.order(self.config.seed, epoch);
            let rate_at =
                |step: u64| training.learning_rate * self.config.schedule.factor(Position { step, total, per_epoch });
            while let Some(indices) = order.chunks(group).nth(state.progress.group) {
                let rate = rate_at(state.progress.step);
                let (next, loss) = self.step(state, indices, &order, rate)?;
                state = next;
                state.progress.loss_sum += loss * indices.len() as f64;
                state.progress.loss_count += indices.len();
                state.progress.group += 1;
                state.progress.step += 1;
                state.progress.seconds += self.lap();
                state.progress.preparing_seconds += self.preparing.swap(0, Ordering::Relaxed) as f64 * 1e-6;
                self.stop.count_step();
                self.observer.step(state.progress.step, total, state.progress.mean_loss());
                if self.stop.is_raised() {
                    return Err(self.interrupt(&state));
                }
                if self.saved.elapsed().as_secs() >= training.checkpoint_seconds {
                    self.save(&state)?;
                }
            }
            // Of the last step, which an interruption may have put into another process.
            let rate = rate_at(state.progress.step.saturating_sub(1));
            self.end_epoch(&mut state, epoch, rate, started)?;
            if let Some(kept) = self.encoding.kept.as_ref().filter(|_| !told) {
                told = true;
                let (bytes, refused) = kept.state();
                tracing::info!("{} MiB of embeddings are kept", bytes >> 20);
                if let Some(reason) = refused {
                    self.observer.warning(&format!("not all embeddings are kept, the others are computed: {reason}"));
                }
            }
        }
        Ok(state)
    }

    /// One optimiser step over the images of `indices`, a part of the epoch's `order`; returns the mean loss.
    fn step(&self, state: State, indices: &[usize], order: &[usize], rate: f64) -> Result<(State, f64)> {
        let State { model, mut optimizer, best, mut progress } = state;
        let scale = match self.config.training.precision {
            Precision::F16 => progress.loss_scale.get_or_insert_default().factor(),
            _ => 1.0,
        };
        let mut sum = GradientsAccumulator::new();
        let mut mean = 0.0;
        for (index, part) in indices.chunks(self.config.training.batch_size).enumerate() {
            let weight = part.len() as f64 / indices.len() as f64;
            let images = filled(part, order, model.network().map(Network::config), self.data.image_size());
            let pass = progress.step * self.config.training.accumulate as u64 + index as u64;
            let draws = Draws::new(self.config.seed, pass);
            let (grads, loss) = self.gradients(&model, &images, progress.epoch, weight * f64::from(scale), draws)?;
            if !loss.is_finite() {
                let place = self.where_loss_broke(&model, &images, progress.epoch);
                return Err(TrainError::Diverged { value: loss, step: progress.step, epoch: progress.epoch, place });
            }
            mean += f64::from(loss) * weight;
            sum.accumulate(&model, grads);
        }
        let mut grads = sum.grads();
        if progress.loss_scale.is_some() {
            grads = gradients::scale(&model, grads, 1.0 / scale);
        }
        let limit = self.config.training.clip_norm;
        if limit.is_some() || progress.loss_scale.is_some() {
            let norm = global_norm(&model, &grads);
            if progress.loss_scale.as_mut().is_some_and(|scale| scale.leaves_out(norm.is_finite())) {
                return Ok((State { model, optimizer, best, progress }, mean));
            }
            if !norm.is_finite() {
                let place = first_non_finite_gradient(&model, &grads);
                let place = place.map_or_else(|| "the gradients".into(), |found| format!("a gradient: {found}"));
                return Err(TrainError::Diverged { value: norm, step: progress.step, epoch: progress.epoch, place });
            }
            if let Some(limit) = limit.filter(|limit| norm > *limit) {
                grads = gradients::scale(&model, grads, limit / norm);
            }
        }
        let model = optimizer.step(rate, model, grads);
        // The first step reads what is trained in full, and then trains a copy; validation reads what rests.
        release_set_aside();
        Ok((State { model, optimizer, best, progress }, mean))
    }

    /// Gradients of `weight` times the mean loss of some images, and that loss, on the first device.
    fn gradients(
        &self,
        model: &Segmenter,
        images: &[usize],
        epoch: usize,
        weight: f64,
        draws: Draws,
    ) -> Result<(GradientsParams, f32)> {
        let share = |indices: &[usize], weight: f64, device: &Device| {
            let started = Instant::now();
            let batch = self.data.training_batch(indices, self.config.seed, epoch, &device.clone().autodiff());
            self.preparing.fetch_add(started.elapsed().as_micros() as u64, Ordering::Relaxed);
            Share {
                batch,
                loss: self.config.loss.clone(),
                draws,
                weight,
                checkpointing: self.config.training.activation_checkpointing,
                encoding: self.encoding.clone(),
            }
        };
        match &self.parallel {
            Some(parallel) if images.len() > 1 => parallel.gradients(model, images, weight, share),
            _ => share(images, weight, &self.devices[0]).gradients(model),
        }
    }

    /// Where a loss that is not finite comes from: a parameter, an image of the batch, or neither alone.
    fn where_loss_broke(&self, model: &Segmenter, images: &[usize], epoch: usize) -> String {
        if let Some(found) = first_non_finite(model) {
            return format!("a parameter: {found}");
        }
        let model = model.valid();
        for &index in images {
            let batch = self.data.training_batch(&[index], self.config.seed, epoch, &self.devices[0]);
            let id = &self.data.train[index].id;
            if !batch.images.clone().is_finite().all().into_scalar::<bool>() {
                return format!("the prepared image {id}");
            }
            let logits = match model.forward(batch.images) {
                Ok(logits) => logits,
                Err(error) => return format!("the image {id} ({error})"),
            };
            if !logits.clone().is_finite().all().into_scalar::<bool>() {
                return format!("the logits of the image {id}");
            }
            let loss = self.config.loss.forward(logits, batch.masks, batch.ignored.as_ref());
            let loss = loss.map(Tensor::into_scalar::<f32>);
            if !loss.is_ok_and(f32::is_finite) {
                return format!("the loss of the image {id}");
            }
        }
        "the images of the batch together".into()
    }

    fn end_epoch(&mut self, state: &mut State, epoch: usize, rate: f64, started: Instant) -> Result<()> {
        let training = &self.config.training;
        let last = epoch + 1 == training.epochs;
        let loss = state.progress.mean_loss();
        let mut dice = None;
        if last || (epoch + 1).is_multiple_of(training.validate_every) {
            let (evaluation, losses) = (&self.config.evaluation, &self.config.loss);
            let validating = Instant::now();
            let model = merged(&state.model);
            let found = validate(&model, self.data, evaluation, losses, &self.devices[0], self.stop, &self.encoding);
            let found = match found {
                Err(TrainError::Stopped { .. }) => return Err(self.interrupt(state)),
                Err(TrainError::Sam(error)) if is_nan_logit(&error) => {
                    let place = "the logits of a validation image".into();
                    return Err(TrainError::Diverged { value: f32::NAN, step: state.progress.step, epoch, place });
                }
                other => other?,
            };
            dice = Some(found.dice);
            state.progress.validating_seconds += validating.elapsed().as_secs_f64();
            if state.progress.selection.observe(epoch, found.dice) {
                state.best = Some(state.model.learned());
            }
            state.progress.best_of_each.observe(&found);
            state.progress.stopped_early = state.progress.selection.should_stop(training.patience);
        }
        let record = EpochRecord { epoch, loss, learning_rate: rate, validation_dice: dice };
        state.progress.curve.push(record);
        state.progress.seconds += self.lap();
        state.progress.epoch += 1;
        state.progress.group = 0;
        state.progress.loss_sum = 0.0;
        state.progress.loss_count = 0;
        self.log.write(&Event::Epoch {
            epoch,
            step: state.progress.step,
            loss,
            learning_rate: rate,
            validation_dice: dice,
            seconds: started.elapsed().as_secs_f64(),
        })?;
        self.observer.epoch(&record);
        if let (Some(_), false, false) = (dice, last, state.progress.stopped_early) {
            state.progress.given_up = (self.gives_up)(&state.progress.curve);
            state.progress.stopped_early = state.progress.given_up.is_some();
        }
        let finished = last || state.progress.stopped_early;
        if !finished && self.saved.elapsed().as_secs() >= training.checkpoint_seconds {
            self.save(state)?;
        }
        Ok(())
    }

    /// Seconds since the last call.
    fn lap(&mut self) -> f64 {
        let seconds = self.lap.elapsed().as_secs_f64();
        self.lap = Instant::now();
        seconds
    }

    fn save(&mut self, state: &State) -> Result<()> {
        self.store.save_each(state.progress.step, state.files())?;
        self.saved = Instant::now();
        self.log.write(&Event::Checkpoint { step: state.progress.step })
    }

    fn interrupt(&mut self, state: &State) -> TrainError {
        let step = state.progress.step;
        match self.save(state).and_then(|()| self.log.write(&Event::Stopped { step })) {
            Ok(()) => TrainError::Stopped { step },
            Err(error) => error,
        }
    }
}

/// Writes the selected model of a finished training as a bundle, unless it is there already: the whole model where everything
/// was trained or where it is a classic network, else the adapter and a reference to its base.
///
/// # Errors
/// The run has no selected model, or the folder holds something else.
pub fn write_bundle(
    folder: &Path,
    config: &RunConfig,
    data: &PreparedData,
    base: &BaseModel,
    directory: &Path,
    outcome: &Outcome,
) -> Result<()> {
    if folder.join(MANIFEST_FILE).is_file() {
        let there = Bundle::open(folder)?;
        let identity = there.manifest.provenance.map(|provenance| provenance.identity);
        return match identity {
            Some(found) if found == outcome.identity => Ok(()),
            found => Err(other_run(folder, &outcome.identity, &found.unwrap_or_default())),
        };
    }
    let device = device::open(&config.devices[0])?;
    // What the training held is free, but still the process's: the model is built anew beside it.
    #[cfg(feature = "cpu")]
    burn_kernels::give_back_freed_memory();
    let model = load_best(config, base, directory, &device)?;
    let provenance = Provenance {
        identity: outcome.identity.clone(),
        run: config.clone(),
        data: data.card.clone(),
        trainable: outcome.trainable,
        total: outcome.total,
        steps: outcome.steps,
        epoch: outcome.best_epoch,
        validation_dice: outcome.validation_dice,
    };
    let content = BundleContent {
        labels: vec![config.data.label.clone()],
        preprocessing: Preprocessing::new(
            config.data.options.image_options()?,
            config.data.protocol,
            config.data.image_size,
        )?,
        provenance: Some(provenance),
    };
    let is_adapter = config.adapter.as_ref().is_some_and(|adapter| adapter.method != Method::Full);
    match (is_adapter, &model) {
        (true, Segmenter::Sam(_)) => {
            let mut reference = config.model.clone();
            if !crate::shipped::is_name(&reference.base) {
                let path = Path::new(&reference.base);
                let absolute = std::path::absolute(path).map_err(TrainError::io("cannot resolve", path))?;
                reference.base = absolute.display().to_string();
            }
            write_adapter(folder, &model, (&reference, &base.card.sha256), config.training.basis, content)
        }
        _ => write_weights(folder, &merged(&model), content),
    }
}
