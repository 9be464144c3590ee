//! How much memory a training takes, from the sizes of what it keeps.
//!
//! A step's peak is at the start of the backward pass: the parameters with their adapters, bases and moments, everything that the
//! backward pass reads, and the temporaries of one block. It is counted tensor by tensor, as the fused layers keep them (or as the
//! composed ones do, on devices that have no others). Other moments are compared with it: attaching, a validation with merged weights, saving a
//! checkpoint, writing the bundle.
//! What a process takes besides (program, images, allocator) is what it has when it is asked.

mod step;

use crate::config::{Precision, RunConfig};
use crate::error::Result;
use crate::model::BaseModel;
use salt_peft::{AdapterConfig, BasisStorage, Plan, PlannedParameter, plan};
use std::fmt;
use step::{Encoder, Step};

/// What a training is expected to take, in bytes.
#[derive(Debug, Clone, PartialEq)]
pub struct MemoryEstimate {
    /// What the process has now: program, images and base weights, with a little more for what runs for the first time. Zero for a device
    /// with memory of its own.
    pub present: usize,
    /// Weights of the base model that are on the device in any case (on a CPU they are part of `present`).
    pub weights: usize,
    /// Weights that the training does not read and that lie on the disk meanwhile.
    pub set_aside: usize,
    /// What storing frozen weights and singular vectors in f16 saves after attaching.
    pub halved: usize,
    /// Packed copies of frozen weights that are kept.
    pub packed: usize,
    /// Frozen singular vectors.
    pub basis: usize,
    /// Trained parameters, the moments of the optimiser and the best checkpoint so far.
    pub trained: usize,
    /// What the backward pass reads.
    pub activations: usize,
    /// Temporaries of a step.
    pub workspace: usize,
    /// What a validation needs beside parameters and moments, activations and workspace of a step being free then.
    pub validation: usize,
    /// What saving a checkpoint needs, when activations and workspace are free.
    pub saving: usize,
    /// What decompositions need beside the bases.
    pub attaching: usize,
    /// What writing the bundle at the end needs beside the bases, when moments and checkpoints are gone.
    pub bundling: usize,
}

impl MemoryEstimate {
    /// The largest sum of what is there at the same time.
    pub fn peak(&self) -> usize {
        let resting = self.present + self.weights + self.basis + self.trained - self.set_aside - self.halved;
        let resting = resting + self.packed;
        let step = resting + self.activations + self.workspace;
        let between = resting + self.validation.max(self.saving);
        let attaching = self.present + self.weights + self.basis + self.attaching;
        let bundling = self.present + self.weights + self.basis + self.packed + self.bundling - self.set_aside;
        step.max(between).max(attaching).max(bundling)
    }
}

impl fmt::Display for MemoryEstimate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mib = |bytes: usize| bytes.div_ceil(1 << 20);
        write!(f, "{} MiB: ", mib(self.peak()))?;
        if self.present > 0 {
            write!(f, "{} now, ", mib(self.present))?;
        }
        if self.weights > 0 {
            write!(f, "base weights {}, ", mib(self.weights))?;
        }
        if self.set_aside > 0 {
            write!(f, "less {} that go to the disk, ", mib(self.set_aside))?;
        }
        if self.halved > 0 {
            write!(f, "less {} by f16, ", mib(self.halved))?;
        }
        if self.basis > 0 {
            write!(f, "singular vectors {}, ", mib(self.basis))?;
        }
        if self.packed > 0 {
            write!(f, "packed copies of weights {}, ", mib(self.packed))?;
        }
        write!(f, "trained numbers and optimiser {}, ", mib(self.trained))?;
        write!(f, "activations {}, workspace {}", mib(self.activations), mib(self.workspace))
    }
}

/// Copies of the trained numbers while a checkpoint is saved: two moments on the host, the file that they are written to, and slack.
const SAVING: usize = 6;

/// What a process on a CPU takes beside tensors: code that is run for the first time, and what each thread packs factors in.
const PROCESS: usize = 12 << 20;

/// What decomposing leaves behind on a CPU: its code, and small things that its threads have not given back. Measured, as the one above.
const DECOMPOSED: usize = 13 << 20;

/// Matrices of the size of the largest, in `f64`, that each thread which decomposed keeps as working memory. Measured too.
const KEPT_BY_THREAD: usize = 2;

/// Bytes of an `f32`.
const F32: usize = 4;

/// Bytes of an `f64`.
const F64: usize = 8;

/// Bytes of a bf16 number, and how many a packed number in `f32-amx` is.
const BF16: usize = 2;
const TERMS_ON_AMX: usize = 3;

/// Bytes of an `f16`.
const F16: usize = 2;

impl BaseModel {
    /// What a training of this run with so many images to choose the checkpoint on takes, at most; none for models whose steps are not
    /// counted (all but SAM and SAM 2) and for ranks that follow from values.
    ///
    /// # Errors
    /// An adapter that does not fit the model.
    pub fn expected_memory(&self, run: &RunConfig, selection: usize) -> Result<Option<MemoryEstimate>> {
        let Some(adapter) = &run.adapter else { return Ok(None) };
        let Ok(model) = self.config() else { return Ok(None) };
        let plan = self.plan(adapter)?;
        let (Some(trained), Some(basis)) = (plan.trainable(), plan.basis_numbers()) else { return Ok(None) };
        let on_cpu = run.devices.iter().all(|name| name == "cpu");
        let share = run.training.batch_size.div_ceil(run.devices.len());
        let step = Step { model, plan: &plan, size: run.data.image_size, batch: share, fused: on_cpu };
        let Encoder { kept, in_backward, packed } = step.encoder(run.training.activation_checkpointing);
        let temporaries = step.of_encoder().temporaries();
        // Head and block are not there at the same time: the head's backward pass is over when the last block's begins. Gradients come as
        // activations go, but where a block's are made again, those of all later ones are there.
        let activations = kept + step.head();
        let in_backward = in_backward + if run.training.activation_checkpointing { trained } else { 0 };
        let workspace = activations.max(in_backward).max(trained + temporaries) - activations + packed;
        let halved = if run.training.precision == Precision::F16 { linear_weights(&plan) + basis } else { 0 };
        let at_rest: usize = if on_cpu && cfg!(unix) { step.at_rest() } else { 0 };
        let merged: usize = plan.layers.iter().map(numbers).sum();
        let bytes_of_packed = match run.training.precision {
            Precision::Bf16 => BF16,
            Precision::F32Amx => TERMS_ON_AMX * BF16,
            _ => F32,
        };
        let budget = run.training.keep_packed_mib.map_or(0, |mebibytes| (mebibytes as usize).saturating_mul(1 << 20));
        // Forward and backward.
        let packed = budget.min(2 * bytes_of_packed * multiplied(&plan, basis));
        // Merged weights are packed, too, if they are read more than once.
        let packed_merged = if selection > 1 { (budget - packed).min(bytes_of_packed * merged) } else { 0 };
        let at_once = run.evaluation.batch_size.min(selection.max(1));
        let evaluated = Step { batch: at_once, ..step };
        let validation = merged + evaluated.of_encoder().temporaries().max(evaluated.head() / 2);
        let gradients = if run.training.accumulate > 1 { trained } else { 0 };
        // Parameters, two moments, the best so far on the host.
        let kept = if on_cpu { 4 } else { 3 } * trained + gradients;
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        // The selected weights, and what the file gets: the same once more, with the bases unless only their names are stored.
        let stored = if run.training.basis == BasisStorage::Basis { basis } else { 0 };
        let bundling = 2 * trained + stored;
        let decomposed = DECOMPOSED + KEPT_BY_THREAD * threads * largest_weight(&plan) * F64;
        let process = if basis > 0 { PROCESS + decomposed } else { PROCESS };
        let attaching = if basis > 0 { decomposing(&plan, 4 * threads, threads) } else { 0 };
        Ok(Some(MemoryEstimate {
            present: if on_cpu { process + resident().unwrap_or(F32 * plan.base_parameters()) } else { 0 },
            weights: if on_cpu { 0 } else { F32 * plan.base_parameters() },
            set_aside: F32 * at_rest,
            halved: (F32 - F16) * halved,
            packed,
            basis: F32 * basis,
            trained: F32 * kept,
            activations: F32 * activations,
            workspace: F32 * workspace,
            validation: F32 * validation + packed_merged,
            saving: if on_cpu { F32 * SAVING * trained } else { 0 },
            attaching: if on_cpu { F32 * attaching } else { 0 },
            bundling: if on_cpu { F32 * bundling } else { 0 },
        }))
    }

    fn plan(&self, adapter: &AdapterConfig) -> Result<Plan> {
        Ok(plan(&self.segmenter(), adapter)?)
    }
}

/// Numbers that the layers which are decomposed together need beside their factors: copies of the weights in `f32` and, for one at a time on
/// each thread, in `f64`, and the factors on the host.
fn decomposing(plan: &Plan, at_once: usize, threads: usize) -> usize {
    let group = plan.layers.chunks(at_once).map(|layers| 2 * layers.iter().map(numbers).sum::<usize>()).max();
    group.unwrap_or(0) + 4 * threads * largest_weight(plan)
}

fn numbers(layer: &salt_peft::PlannedLayer) -> usize {
    layer.shape.iter().product()
}

/// Numbers in the largest weight that is adapted.
fn largest_weight(plan: &Plan) -> usize {
    plan.layers.iter().map(numbers).max().unwrap_or(0)
}

/// Numbers in frozen weights of linear layers, those included for which a trained copy stands in.
fn linear_weights(plan: &Plan) -> usize {
    adapted_weights(plan) + matrices(plan.frozen.iter().chain(&plan.trained))
}

/// Numbers in the frozen factors that linear layers are multiplied with in a step: singular vectors in place of weights that have them.
fn multiplied(plan: &Plan, basis: usize) -> usize {
    (if basis > 0 { basis } else { adapted_weights(plan) }) + matrices(&plan.frozen)
}

/// Numbers in the weights of adapted linear layers.
fn adapted_weights(plan: &Plan) -> usize {
    plan.layers.iter().filter(|layer| layer.container == "Linear").map(numbers).sum()
}

/// Numbers in those of some parameters that are weights of linear layers.
fn matrices<'a>(parameters: impl IntoIterator<Item = &'a PlannedParameter>) -> usize {
    let weights = parameters.into_iter();
    let weights = weights.filter(|parameter| parameter.shape.len() == 2 && parameter.path.ends_with(".weight"));
    weights.map(PlannedParameter::count).sum()
}

/// Bytes of this process that are in memory now; none where the system does not tell.
pub fn resident() -> Option<usize> {
    field("VmRSS:")
}

/// The most bytes of this process that were in memory at any time; none where the system does not tell.
pub fn peak_resident() -> Option<usize> {
    field("VmHWM:")
}

fn field(name: &str) -> Option<usize> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix(name))?;
    let kibibytes: usize = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kibibytes << 10)
}
