//! The loop.

use crate::learner::{Batch, Learner, Losses, PromptKind, dice_scores};
use crate::log::{Event, Log};
use crate::plan::{Plan, StepSettings};
use crate::scenes::Scene;
use crate::scores::Scores;
use crate::workers::Workers;
use burn::module::Module;
use burn::optim::{GradientsParams, ModuleOptimizer};
use burn::tensor::{Bytes, Device};
use medseg_train::StopFlag;
use medseg_train::checkpoint::{CheckpointStore, RunLock, restore_tensors, tensors, trainable_tensors};
use medseg_train::files;
use medseg_train::gradients::clip_global_norm;
use medseg_train::{Result, TrainError};
use salt_peft::first_non_finite;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// How a pre-training is run; nothing here changes its result.
#[derive(Debug, Clone)]
pub struct PretrainOptions {
    /// The run directory.
    pub directory: PathBuf,
    /// Threads that work on shards at the same time.
    pub threads: usize,
    /// Time between checkpoints.
    pub checkpoint_every: Duration,
    /// Steps between validations.
    pub validate_every: u64,
}

/// What the loop tells while it runs.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct StepReport {
    /// Steps done.
    pub step: u64,
    /// Steps of the plan.
    pub steps: u64,
    /// Loss of the automatic token (smoothed over about 50 steps).
    pub loss: f64,
    /// Newest validation.
    pub validation: Option<Scores>,
}

/// A model with what is known of it.
#[derive(Debug)]
pub struct Pretrained {
    /// The model, without gradients.
    pub learner: Learner,
    /// Steps taken.
    pub step: u64,
    /// The plan they were taken under.
    pub plan: Plan,
    /// Wall-clock seconds of training so far, over all continuations.
    pub seconds: f64,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Progress {
    step: u64,
    seconds: f64,
    plan: Plan,
}

/// Validation scenes come from a stream of their own.
const VALIDATION_STREAM: u64 = 0x5eed_0000_0000;
/// Scenes of a validation during training.
const VALIDATION_SCENES: u64 = 48;

/// Runs `plan` in `options.directory`, or continues what is there, and calls `observe` after every step.
///
/// The same plan gives the same bits on the same machine, however often it was interrupted and on however many threads.
///
/// # Errors
/// An unacceptable plan, a directory in use or with another plan's run, a full disk, a loss that is not finite, or
/// [`TrainError::Stopped`] when `stop` was raised.
pub fn pretrain(
    plan: &Plan,
    options: &PretrainOptions,
    stop: &StopFlag,
    observe: &mut dyn FnMut(StepReport),
) -> Result<Pretrained> {
    plan.validate()?;
    let _lock = RunLock::acquire(&options.directory)?;
    let device = Device::flex().autodiff();
    let store = CheckpointStore::new(&options.directory);
    let mut state = match store.newest()? {
        Some((_, files)) => State::restore(plan, files, &device, &options.directory)?,
        None => State::new(plan, &device)?,
    };
    let text = serde_json::to_vec_pretty(plan)
        .map_err(|error| TrainError::format(&options.directory.join("plan.json"), error.to_string()))?;
    files::write(&options.directory.join("plan.json"), &text)?;
    let mut log = Log::open(&options.directory.join("log.jsonl"))?;
    log.write(&Event::Start { step: state.step, steps: plan.steps(), parameters: state.learner.num_params() })?;
    let workers = Workers::new(options.threads)?;
    let (mut validation, mut smooth) = (None, f64::NAN);
    let mut saved = Instant::now();
    while let Some(settings) = plan.settings(state.step) {
        let begun = Instant::now();
        let (grads, losses) = gradients(&workers, &state.learner, plan.seed, settings, &device)?;
        let loss: f64 = losses.iter().sum();
        if !loss.is_finite() {
            let place = first_non_finite(&state.learner).map(|found| format!("a parameter: {found}"));
            let place = place.unwrap_or_else(|| "the losses of the scenes".into());
            return Err(TrainError::Diverged { value: loss as f32, step: state.step, epoch: 0, place });
        }
        let (grads, norm) = clip_global_norm(&state.learner, grads, plan.clip);
        state.learner = state.optimizer.step(settings.learning_rate, state.learner, grads);
        state.step += 1;
        let seconds = begun.elapsed().as_secs_f64();
        state.seconds += seconds;
        let (step, size, learning_rate) = (state.step, settings.size, settings.learning_rate);
        log.write(&Event::Step { step, size, learning_rate, losses, norm, seconds })?;
        smooth = if smooth.is_nan() { losses[0] } else { 0.98 * smooth + 0.02 * losses[0] };
        let last = plan.settings(state.step).is_none();
        if last || state.step % options.validate_every.max(1) == 0 {
            let scores = validate(&state.learner.valid(), plan.seed, size, VALIDATION_SCENES, &workers)?;
            log.write(&Event::Validation { step, size, scenes: VALIDATION_SCENES, scores })?;
            validation = Some(scores);
        }
        observe(StepReport { step, steps: plan.steps(), loss: smooth, validation });
        stop.count_step();
        if last || stop.is_raised() || saved.elapsed() >= options.checkpoint_every {
            store.save(state.step, &state.files(plan)?)?;
            log.write(&Event::Checkpoint { step })?;
            saved = Instant::now();
        }
        if stop.is_raised() && !last {
            return Err(TrainError::Stopped { step });
        }
    }
    let State { learner, step, seconds, .. } = state;
    Ok(Pretrained { learner: learner.valid(), step, plan: plan.clone(), seconds })
}

/// The newest checkpoint of a run, for a look at what it has learnt so far.
///
/// # Errors
/// The directory holds no whole checkpoint.
pub fn newest(directory: &std::path::Path) -> Result<Pretrained> {
    let (step, files) = CheckpointStore::new(directory)
        .newest()?
        .ok_or_else(|| TrainError::format(directory, "expected a pre-training run, found no checkpoint"))?;
    let progress = read_progress(&files, directory)?;
    let state = State::restore(&progress.plan, files, &Device::flex().autodiff(), directory)?;
    Ok(Pretrained { learner: state.learner.valid(), step, plan: progress.plan, seconds: progress.seconds })
}

impl Pretrained {
    /// Scores on `scenes` held-out scenes of `size` px.
    ///
    /// # Errors
    /// The size does not fit the model.
    pub fn score(&self, size: usize, scenes: u64, threads: usize) -> Result<Scores> {
        validate(&self.learner, self.plan.seed, size, scenes, &Workers::new(threads)?)
    }
}

/// Everything that changes from step to step.
struct State {
    learner: Learner,
    optimizer: ModuleOptimizer,
    step: u64,
    seconds: f64,
}

type Files = std::collections::BTreeMap<String, Vec<u8>>;

fn read_progress(files: &Files, directory: &std::path::Path) -> Result<Progress> {
    let text = files.get("progress.json").map_or(&[][..], Vec::as_slice);
    serde_json::from_slice(text).map_err(|error| TrainError::format(directory, format!("progress.json: {error}")))
}

impl State {
    fn new(plan: &Plan, device: &Device) -> Result<Self> {
        let learner = Learner::new(&plan.model, plan.seed, device)?;
        Ok(Self { learner, optimizer: plan.optimizer.init(), step: 0, seconds: 0.0 })
    }

    fn restore(plan: &Plan, mut files: Files, device: &Device, directory: &std::path::Path) -> Result<Self> {
        let progress = read_progress(&files, directory)?;
        if !plan.continues(&progress.plan, progress.step) {
            return Err(TrainError::format(
                directory,
                format!(
                    "holds {} steps of a run with another plan (see plan.json there); choose another directory",
                    progress.step
                ),
            ));
        }
        let mut take = |name: &str| {
            files.remove(name).ok_or_else(|| TrainError::format(directory, format!("the checkpoint has no {name}")))
        };
        let state = Self::new(plan, device)?;
        let learner = restore_tensors(state.learner, tensors::from_bytes(&take("weights.safetensors")?)?)?;
        // Restored tensors are plain; this puts them, and the rest of the model with them, back on the autodiff device.
        let learner = learner.valid().train();
        let optimizer = state
            .optimizer
            .from_bytes(Bytes::from_bytes_vec(take("optimizer.bpk")?))
            .map_err(|error| TrainError::format(directory, format!("optimizer.bpk: {error}")))?;
        Ok(Self { learner, optimizer, step: progress.step, seconds: progress.seconds })
    }

    fn files(&self, plan: &Plan) -> Result<Vec<(&'static str, Vec<u8>)>> {
        let optimizer = self
            .optimizer
            .into_bytes()
            .map_err(|error| TrainError::Model(format!("cannot save the optimiser's state: {error}")))?;
        let progress = Progress { step: self.step, seconds: self.seconds, plan: plan.clone() };
        let progress = serde_json::to_vec_pretty(&progress)
            .map_err(|error| TrainError::Model(format!("cannot save the progress: {error}")))?;
        Ok(vec![
            ("weights.safetensors", tensors::to_bytes(&trainable_tensors(&self.learner))?),
            ("optimizer.bpk", optimizer.to_vec()),
            ("progress.json", progress),
        ])
    }
}

/// The gradients of one step and its losses (automatic, prompted, dense, quality), means over the batch.
fn gradients(
    workers: &Workers,
    learner: &Learner,
    seed: u64,
    settings: StepSettings,
    device: &Device,
) -> Result<(GradientsParams, [f64; 4])> {
    let shards = settings.batch.div_ceil(settings.shard);
    workers.gradients(learner, shards, device, |copy, shard| {
        let first = settings.first_scene + (shard * settings.shard) as u64;
        let count = settings.shard.min(settings.batch - shard * settings.shard);
        let scenes: Vec<Scene> = (0..count as u64)
            .map(|offset| Scene::generate(seed, first + offset, settings.size, settings.difficulty))
            .collect();
        let batch = Batch::new(&scenes, device);
        let kind = if (first / settings.shard as u64).is_multiple_of(2) { PromptKind::Point } else { PromptKind::Box };
        let losses = Losses::new(copy.forward(&batch, kind)?, &batch);
        let share = count as f64 / settings.batch as f64;
        Ok((losses.total() * share, losses.values().map(|value| value * share)))
    })
}

/// Mean Dice on the first `scenes` of the validation stream.
fn validate(learner: &Learner, seed: u64, size: usize, scenes: u64, workers: &Workers) -> Result<Scores> {
    const SHARD: u64 = 4;
    let device = Device::flex();
    let parts = workers.map(scenes.div_ceil(SHARD) as usize, |shard| {
        let first = shard as u64 * SHARD;
        let indices = first..(first + SHARD).min(scenes);
        let scenes: Vec<Scene> =
            indices.map(|index| Scene::generate(seed ^ VALIDATION_STREAM, index, size, 1.0)).collect();
        let batch = Batch::new(&scenes, &device);
        let by_point = learner.forward(&batch, PromptKind::Point)?;
        let by_box = learner.forward(&batch, PromptKind::Box)?;
        Ok([
            dice_scores(&by_point.automatic, &batch.lines),
            dice_scores(&by_point.first(), &batch.targets),
            dice_scores(&by_box.first(), &batch.targets),
        ])
    })?;
    let mean = |which: usize| parts.iter().flat_map(|part| &part[which]).sum::<f64>() / scenes.max(1) as f64;
    Ok(Scores { automatic: mean(0), point: mean(1), r#box: mean(2) })
}
