//! What the engine trains and uses: images in, logits out.

use crate::checkpoint::{NamedTensors, restore_tensors, trainable_tensors};
use crate::error::{Result, TrainError};
use burn::module::{Content, Flag, Module, ModuleDisplay, ModuleDisplayDefault, ModuleMapper, ModuleVisitor, Param};
use burn::tensor::{Device, Tensor};
use salt_peft::Plan;
use sam_model::{AutomaticPrompt, Sam, upsample_logits};
use seg_baselines::{Draws, Network};
use std::collections::{BTreeMap, BTreeSet};

/// A model that segments without a user's prompt.
///
/// In the module tree it stands for what it holds: parameters are called `sam.image_encoder...` and `prompt.token`, or as in a
/// [`Network`].
#[derive(Debug, Clone)]
#[allow(clippy::large_enum_variant, reason = "there are a few per program, and modules cannot be boxed")]
pub enum Segmenter {
    /// Segment Anything with one prompt token per label.
    Sam(PromptedSam),
    /// A classic network, trained from images alone.
    Network(Network),
}

/// SAM that segments without a user's prompt.
#[derive(Module, Debug)]
pub struct PromptedSam {
    /// The model.
    pub sam: Sam,
    /// One token per label.
    pub prompt: AutomaticPrompt,
}

impl PromptedSam {
    fn forward(&self, images: Tensor<4>) -> Result<Tensor<4>> {
        let [_, _, height, width] = images.dims();
        let logits = self.sam.forward_automatic(images, &self.prompt)?;
        Ok(upsample_logits(logits, [height, width]))
    }
}

/// What stands before the names of running statistics among the tensors that training changes.
const STATISTICS: &str = "statistics.";

impl Segmenter {
    /// Normalised images `[n, 3, size, size]` to logits `[n, labels, size, size]`.
    ///
    /// # Errors
    /// A size that the model does not take.
    pub fn forward(&self, images: Tensor<4>) -> Result<Tensor<4>> {
        match self {
            Self::Sam(model) => model.forward(images),
            Self::Network(network) => Ok(network.forward(images)?),
        }
    }

    /// The same at the resolution at which the model decides: that of SAM's decoder, a network's own.
    ///
    /// # Errors
    /// As [`forward`](Self::forward).
    pub(crate) fn forward_small(&self, images: Tensor<4>) -> Result<Tensor<4>> {
        match self {
            Self::Sam(model) => Ok(model.sam.forward_automatic(images, &model.prompt)?),
            Self::Network(network) => Ok(network.forward(images)?),
        }
    }

    /// The same in a training step, on an autodiff device: a network drops out what `draws` says, and its batch norms take the
    /// statistics of these images. A SAM has neither.
    ///
    /// # Errors
    /// As [`forward`](Self::forward); a batch that is too small for a network's norms.
    pub fn forward_training(&self, images: Tensor<4>, draws: &Draws) -> Result<Tensor<4>> {
        match self {
            Self::Sam(model) => model.forward(images),
            Self::Network(network) => Ok(network.forward_training(images, draws)?),
        }
    }

    /// The SAM with its prompt, where it is one.
    pub fn sam(&self) -> Option<&PromptedSam> {
        match self {
            Self::Sam(model) => Some(model),
            Self::Network(_) => None,
        }
    }

    /// The classic network, where it is one.
    pub fn network(&self) -> Option<&Network> {
        match self {
            Self::Sam(_) => None,
            Self::Network(network) => Some(network),
        }
    }

    /// The SAM for what only a SAM can do, in words ("points and boxes").
    ///
    /// # Errors
    /// A classic network.
    pub fn require_sam(&self, what: &'static str) -> Result<&PromptedSam> {
        self.sam().ok_or_else(|| {
            let name = self.network().map_or("", |network| network.config().architecture.name());
            TrainError::config("model", format!("{what}: expected a SAM, found the network {name}"))
        })
    }

    /// The number of parameters of SAM without its prompt, or of the network without running statistics.
    pub fn num_parameters(&self) -> usize {
        match self {
            Self::Sam(model) => Module::num_params(&model.sam),
            Self::Network(network) => network.num_parameters(),
        }
    }

    /// The running statistics of a network's batch norms, by the reference package's names; none for a SAM.
    pub(crate) fn statistics(&self) -> NamedTensors {
        self.network().map_or_else(BTreeMap::new, Network::statistics)
    }

    /// Everything that training changes, by name: trainable tensors by their module path, and running statistics.
    pub(crate) fn learned(&self) -> NamedTensors {
        let statistics = self.statistics().into_iter().map(|(name, data)| (format!("{STATISTICS}{name}"), data));
        trainable_tensors(self).into_iter().chain(statistics).collect()
    }

    /// Puts back what [`learned`](Self::learned) gave, all of it and nothing else.
    ///
    /// # Errors
    /// A tensor that is missing, not expected, or of another shape.
    pub(crate) fn with_learned(self, tensors: NamedTensors) -> Result<Self> {
        let Self::Network(_) = &self else { return restore_tensors(self, tensors) };
        let (mut statistics, mut trained) = (NamedTensors::new(), NamedTensors::new());
        for (name, data) in tensors {
            match name.strip_prefix(STATISTICS) {
                Some(name) => statistics.insert(name.to_owned(), data),
                None => trained.insert(name, data),
            };
        }
        match restore_tensors(self, trained)? {
            Self::Network(network) => Ok(Self::Network(network.with_statistics(&statistics)?)),
            sam => Ok(sam),
        }
    }

    /// Freezes the batch norms of a network whose scale and shift a plan does not train: they go on with the running statistics that
    /// they have. Nothing to do for a SAM.
    pub(crate) fn with_frozen_norms(self, plan: &Plan) -> Self {
        let trained = plan.trained.iter().map(|parameter| parameter.path.clone()).collect();
        match self {
            Self::Network(network) => Self::Network(network.map(&mut FreezeNorms { trained, path: Vec::new() })),
            sam => sam,
        }
    }
}

/// Switches off what is no layer of a trained parameter.
struct FreezeNorms {
    trained: BTreeSet<String>,
    path: Vec<String>,
}

impl ModuleMapper for FreezeNorms {
    fn enter_module(&mut self, name: &str, _container_type: &str) {
        self.path.push(name.to_owned());
    }

    fn exit_module(&mut self, _name: &str, _container_type: &str) {
        self.path.pop();
    }

    fn map_flag(&mut self, flag: Param<Flag>) -> Param<Flag> {
        let layer = self.path.iter().rev().skip(1).rev().map(String::as_str);
        let weight = layer.chain(["weight"]).collect::<Vec<_>>().join(".");
        let trains = flag.is_enabled() && self.trained.contains(&weight);
        flag.with_value(trains)
    }
}

/// Applies a method of [`Module`] to what a segmenter holds. Deriving it would put the variant's name into every path, and so change
/// what adapters, checkpoints and fingerprints of earlier runs call a parameter.
macro_rules! of_each {
    ($segmenter:expr, $model:ident => $result:expr) => {
        match $segmenter {
            Segmenter::Sam($model) => Segmenter::Sam($result),
            Segmenter::Network($model) => Segmenter::Network($result),
        }
    };
}

impl Module for Segmenter {
    fn collect_devices(&self, devices: Vec<Device>) -> Vec<Device> {
        match self {
            Self::Sam(model) => model.collect_devices(devices),
            Self::Network(network) => network.collect_devices(devices),
        }
    }

    fn fork(self, device: &Device) -> Self {
        of_each!(self, model => model.fork(device))
    }

    fn to_device(self, device: &Device) -> Self {
        of_each!(self, model => model.to_device(device))
    }

    fn visit<V: ModuleVisitor>(&self, visitor: &mut V) {
        match self {
            Self::Sam(model) => model.visit(visitor),
            Self::Network(network) => network.visit(visitor),
        }
    }

    fn map<M: ModuleMapper>(self, mapper: &mut M) -> Self {
        of_each!(self, model => model.map(mapper))
    }

    fn train(self) -> Self {
        of_each!(self, model => model.train())
    }

    fn valid(&self) -> Self {
        of_each!(self, model => model.valid())
    }

    fn materialize(self) -> Self {
        of_each!(self, model => model.materialize())
    }
}

impl ModuleDisplayDefault for Segmenter {
    fn content(&self, content: Content) -> Option<Content> {
        match self {
            Self::Sam(model) => model.content(content),
            Self::Network(network) => network.content(content),
        }
    }
}

impl ModuleDisplay for Segmenter {}
