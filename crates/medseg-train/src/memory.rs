//! How much memory a training takes, from the sizes of what it keeps.
//!
//! A step's peak is at the start of the backward pass: the parameters with their adapters, bases and moments, everything that the
//! backward pass reads, and the temporaries of one block. It is counted tensor by tensor, as the fused layers keep them (or as the
//! composed ones do, on devices that have no others). Other moments are compared with it: attaching, a validation with merged weights, saving a
//! checkpoint, writing the bundle.
//! What a process takes besides (program, images, allocator) is what it has when it is asked.

use crate::config::{Precision, RunConfig};
use crate::error::Result;
use crate::model::BaseModel;
use salt_peft::{AdapterConfig, BasisStorage, Kind, LinearShape, Plan, kept_numbers, plan};
use sam_model::{HieraBlockShape, SamConfig};
use std::fmt;

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
        let step = resting + self.activations + self.workspace;
        let between = resting + self.validation.max(self.saving);
        let attaching = self.present + self.weights + self.basis + self.attaching;
        let bundling = self.present + self.weights + self.basis + self.bundling - self.set_aside;
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
        let temporaries = step.temporaries();
        // Head and block are not there at the same time: the head's backward pass is over when the last block's begins. Gradients come as
        // activations go, but where a block's are made again, those of all later ones are there.
        let activations = kept + step.head();
        let in_backward = in_backward + if run.training.activation_checkpointing { trained } else { 0 };
        let workspace = activations.max(in_backward).max(trained + temporaries) - activations + packed;
        let halved = if run.training.precision == Precision::F16 { linear_weights(&plan) + basis } else { 0 };
        let at_rest: usize = if on_cpu && cfg!(unix) { step.at_rest() } else { 0 };
        let merged: usize = plan.layers.iter().map(numbers).sum();
        let at_once = run.evaluation.batch_size.min(selection.max(1));
        let evaluated = Step { batch: at_once, ..step };
        // A frozen encoder sees one image at a time.
        let encoded = if step.first_tracked() < model.depth { evaluated } else { Step { batch: 1, ..step } };
        let validation = merged + encoded.temporaries().max(evaluated.head() / 2);
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
            basis: F32 * basis,
            trained: F32 * kept,
            activations: F32 * activations,
            workspace: F32 * workspace,
            validation: F32 * validation,
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
    let adapted = plan.layers.iter().filter(|layer| layer.container == "Linear");
    let plain = plan.frozen.iter().chain(&plan.trained);
    let plain = plain.filter(|parameter| parameter.shape.len() == 2 && parameter.path.ends_with(".weight"));
    let adapted: usize = adapted.map(numbers).sum();
    adapted + plain.map(|parameter| parameter.count()).sum::<usize>()
}

/// One step on one device.
#[derive(Clone, Copy)]
struct Step<'a> {
    model: &'a SamConfig,
    plan: &'a Plan,
    size: usize,
    batch: usize,
    /// Whether layers are single operations that keep only what they read.
    fused: bool,
}

/// What is done to a weight.
#[derive(Clone, Copy)]
enum Treatment {
    Frozen,
    Trained,
    Adapted(Kind),
}

/// The sizes of a block of an encoder.
#[derive(Clone, Copy)]
struct Block {
    /// Tokens and channels of its input.
    inputs: [usize; 2],
    /// Tokens and channels of its output.
    outputs: [usize; 2],
    heads: usize,
    /// Channels inside of its MLP.
    hidden: usize,
    /// Tokens of its attention's keys, with the padding of windows, and those of one window.
    attended: usize,
    window: usize,
    /// Whether the grid is halved.
    pools: bool,
    /// The paths of its MLP's layers.
    mlp: [&'static str; 2],
}

/// What the encoder's part of a step takes.
struct Encoder {
    /// What is kept until the backward pass.
    kept: usize,
    /// The most that is there while the backward pass is in the encoder.
    in_backward: usize,
    /// Copies of the factors of an attention, or of the largest product that gives a weight's gradient: working memory that threads do not give
    /// back.
    packed: usize,
}

impl Step<'_> {
    /// Tokens of the embedding.
    fn tokens(&self) -> usize {
        self.batch * (self.size / self.model.patch_size).pow(2)
    }

    fn treatment(&self, path: &str) -> Treatment {
        let ends = |found: &str| found.ends_with(path);
        if let Some(layer) = self.plan.layers.iter().find(|layer| ends(&layer.path)) {
            return layer.parts.first().and_then(|part| part.kind).map_or(Treatment::Frozen, Treatment::Adapted);
        }
        let trained = self.plan.trained.iter().any(|parameter| ends(&parameter.path));
        if trained { Treatment::Trained } else { Treatment::Frozen }
    }

    /// Whether something under a path is trained or adapted.
    fn touches(&self, part: &str) -> bool {
        let paths = self.plan.layers.iter().map(|layer| &layer.path);
        paths.chain(self.plan.trained.iter().map(|parameter| &parameter.path)).any(|path| path.contains(part))
    }

    /// Index of the first block whose input or parameters have a gradient; the number of blocks where none has.
    fn first_tracked(&self) -> usize {
        if self.touches("pos_embed") || self.touches("patch_embed") {
            return 0;
        }
        (0..self.model.depth).find(|index| self.touches(&format!("blocks.{index}."))).unwrap_or(self.model.depth)
    }

    fn linear(&self, path: &str, tokens: usize, [inputs, outputs]: [usize; 2]) -> usize {
        match self.treatment(path) {
            Treatment::Frozen => 0,
            Treatment::Trained => tokens * inputs,
            Treatment::Adapted(kind) => kept_numbers(&kind, LinearShape { tokens, inputs, outputs, training: true }),
        }
    }

    /// The blocks of the encoder.
    fn blocks(&self) -> Vec<Block> {
        let model = self.model;
        // Rows with the padding of windows, and the length of one window.
        let attended = |grid: usize, window: usize| match window {
            0 => [self.batch * grid * grid, grid * grid],
            side => [self.batch * grid.next_multiple_of(side).pow(2), side * side],
        };
        if !model.is_sam2() {
            let (grid, tokens) = (self.size / model.patch_size, self.tokens());
            let block = |index| {
                let [attended, window] = attended(grid, model.block_window(index));
                Block {
                    inputs: [tokens, model.embed_dim],
                    outputs: [tokens, model.embed_dim],
                    heads: model.num_heads,
                    hidden: model.mlp_dim(),
                    attended,
                    window,
                    pools: false,
                    mlp: ["mlp.lin1.weight", "mlp.lin2.weight"],
                }
            };
            return (0..model.depth).map(block).collect();
        }
        let mut grid = 4 * (self.size / model.patch_size);
        let block = |shape: HieraBlockShape| {
            let before = grid;
            grid = if shape.pools { grid / 2 } else { grid };
            let [attended, window] = attended(before, shape.window);
            Block {
                inputs: [self.batch * before * before, shape.from],
                outputs: [self.batch * grid * grid, shape.to],
                heads: shape.heads,
                hidden: (shape.to as f64 * model.mlp_ratio) as usize,
                attended,
                window,
                pools: shape.pools,
                mlp: ["mlp.layers.0.weight", "mlp.layers.1.weight"],
            }
        };
        model.hiera_blocks().into_iter().map(block).collect()
    }

    /// What the encoder keeps and takes, block by block or, `checkpointing`, as inputs of blocks that are computed once more.
    fn encoder(&self, checkpointing: bool) -> Encoder {
        let first = self.first_tracked();
        let blocks: Vec<Block> = self.blocks();
        let (mut kept, mut in_backward, mut packed) = (0, 0, 0);
        if self.fused {
            // Keys and values of an attention; a frozen encoder sees one image at a time.
            let images = if first < blocks.len() { 1 } else { self.batch };
            packed = blocks.iter().map(|block| 2 * block.attended * block.outputs[1] / images).max().unwrap_or(0);
        }
        for (index, block) in blocks.iter().enumerate().skip(first) {
            if self.fused {
                packed = packed.max(block.outputs[0] * (block.outputs[1] + block.hidden));
            }
            let whole = self.kept_by(index, *block, index == first);
            if checkpointing {
                let [[n, c], [m, d]] = [block.inputs, block.outputs];
                kept += n * c;
                // The output, the gradient of that, and what carries the one into the other are there once more.
                in_backward = in_backward.max(kept + whole + 5 * m * d + temporaries(block));
            } else {
                kept += whole;
                in_backward = in_backward.max(kept + temporaries(block));
            }
        }
        Encoder { kept, in_backward, packed }
    }

    /// What a block keeps for its backward pass.
    fn kept_by(&self, index: usize, block: Block, is_first: bool) -> usize {
        let ([n, c], [m, d], hidden) = (block.inputs, block.outputs, block.hidden);
        let name = |layer: &str| format!("blocks.{index}.{layer}");
        let tracked_input = !is_first || self.touches("pos_embed") || self.touches("patch_embed");
        let norm_1 = if tracked_input || self.touches(&name("norm1")) { n * c } else { 0 };
        let qkv = self.linear(&name("attn.qkv.weight"), n, [c, 3 * d]);
        let tracks_qkv = norm_1 > 0 || self.touches(&name("attn.qkv")) || self.touches(&name("attn.rel_pos"));
        let attention = if tracks_qkv { self.attention(block) } else { 0 };
        let shortcut = if c == d { 0 } else { self.linear(&name("proj.weight"), n, [c, d]) };
        let pooled = if block.pools && tracks_qkv { POOLED * n * d } else { 0 };
        let mut proj = self.linear(&name("attn.proj.weight"), m, [d, d]);
        if block.window == block.attended / self.batch && proj >= m * d && attention > 0 {
            // Its input is the output that the attention keeps.
            proj -= m * d;
        }
        let [layer_1, layer_2] = block.mlp.map(&name);
        let lin_1 = self.linear(&layer_1, m, [d, hidden]);
        let lin_2 = self.linear(&layer_2, m, [hidden, d]);
        let kept = norm_1 + qkv + attention + shortcut + pooled + proj + m * d + lin_1 + m * hidden + lin_2;
        // Composed of Burn's operations, the two norms keep two more tensors each and GELU two.
        if self.fused { kept } else { kept + 2 * n * c + 2 * m * d + 2 * m * hidden }
    }

    fn attention(&self, block: Block) -> usize {
        let (rows, channels) = (block.attended, block.outputs[1]);
        let queries = if block.pools { rows / 4 } else { rows };
        if self.fused {
            // Queries, keys and values, the output, and a number for each query and head.
            return 2 * (queries + rows) * channels + queries * block.heads;
        }
        // Query, key and value apart, the exponentials of the scores, the unnormalised and the normalised output.
        let relative = self.model.uses_relative_positions();
        let relative = if relative { 2 * rows * block.heads * block.window.isqrt() * 2 } else { 0 };
        (3 * queries + 2 * rows) * channels + queries * block.window * block.heads + relative
    }

    /// What neck, decoder and loss keep.
    fn head(&self) -> usize {
        let (n, c, width) = (self.tokens(), self.model.embed_dim, self.model.output_channels);
        let pixels = self.batch * self.size * self.size;
        let neck = match self.model.is_sam2() {
            true if !self.touches("neck") => 0,
            // The ends of four stages.
            true => n * c * (16 + 8 + 4 + 2),
            false if self.first_tracked() < self.model.depth || self.touches("neck") => n * c + 4 * n * width,
            false => 0,
        };
        let decoder =
            if self.touches("mask_decoder.transformer.layers.0.mlp") { 22 * n * width } else { 13 * n * width };
        neck + decoder + LOSS_MAPS * pixels
    }

    /// The temporaries of the widest place of the encoder.
    fn temporaries(&self) -> usize {
        self.blocks().iter().map(temporaries).max().unwrap_or(0)
    }

    fn at_rest(&self) -> usize {
        let paths: std::collections::BTreeSet<&str> = self.plan.weights_at_rest().collect();
        let of_layers =
            self.plan.layers.iter().map(|layer| (layer.path.as_str(), layer.shape.iter().product::<usize>()));
        let of_trained = self.plan.trained.iter().map(|parameter| (parameter.path.as_str(), parameter.count()));
        of_layers.chain(of_trained).filter(|(path, _)| paths.contains(path)).map(|(_, count)| count).sum()
    }
}

/// The temporaries of the widest place of a block: its MLP, or its attention where that is fed from four times as many tokens.
fn temporaries(block: &Block) -> usize {
    let ([n, c], [m, d], hidden) = (block.inputs, block.outputs, block.hidden);
    let mlp = 2 * m * hidden + 4 * m * d + 2 * d * hidden;
    // Input, norm and residual connection; what pooling keeps; and queries, keys and values three times: the projection's output, its gradient,
    // and that of one of the three, which comes as a map of all with zeros for the others.
    let pooling = 2 * n * c + n * d + POOLED * n * d / 2 + 9 * block.attended * d;
    if block.pools { mlp.max(pooling) } else { mlp }
}

/// What pooling the queries and the residual connection keeps of each number: the places of the larger ones in 64 bits, for half of the
/// numbers and then for a quarter.
const POOLED: usize = 3;

/// Maps of the size of the image that upsampling and loss keep.
const LOSS_MAPS: usize = 16;

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
