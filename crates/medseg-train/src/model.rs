//! The model of a run: SAM with an automatic prompt or a classic network, its base weights, its adapters.

mod at_rest;
pub(crate) mod parts;
mod text;

pub use text::Assets;

use crate::checkpoint::stable_ids;
use crate::config::ModelConfig;
use crate::error::{Result, TrainError};
use crate::files::sha256;
use crate::network::{self, NetworkChoice};
use crate::shipped;
use crate::text::{TextFeatures, TextFinder};
use burn::module::{Module, ModuleVisitor, Param};
use burn::tensor::{Device, Tensor, TensorData};
use medseg_data::random::Stream;
use salt_peft::{
    AdapterConfig, AttachOptions, LoadOptions, attach, check, load_adapter, materialize, trainable_report,
};
use sam_model::{AutomaticPrompt, Checkpoint, LoadReport, SamConfig, SamVariant, ShippedModel};
use seg_baselines::NetworkConfig;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

pub use crate::segmenter::{PromptedSam, Segmenter};

/// Name of the file that holds prompt tokens, in a bundle or beside an adapter.
pub const PROMPT_FILE: &str = "prompt.safetensors";

/// The model that a run starts from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BaseModelCard {
    /// Name or file.
    pub name: String,
    /// SHA-256 of its weights.
    pub sha256: String,
    /// False for weights drawn at random: then nothing shows what pre-training is worth.
    pub pretrained: bool,
    /// All its parameters.
    pub parameters: usize,
}

/// Base weights in memory, shared by the runs that start from them.
#[derive(Debug, Clone)]
pub struct BaseModel {
    /// Name, checksum, size.
    pub card: BaseModelCard,
    /// What the user should know of the file: tensors ignored, dropped or resampled.
    pub notes: Vec<String>,
    segmenter: Segmenter,
    /// What the prompt tokens stand for; none where the file brought no prompt, so that its token is a random one.
    labels: Option<Vec<String>>,
    basis_cache: Option<PathBuf>,
}

struct Hash {
    text: String,
    path: Vec<String>,
}

impl ModuleVisitor for Hash {
    fn enter_module(&mut self, name: &str, _container_type: &str) {
        self.path.push(name.to_string());
    }

    fn exit_module(&mut self, _name: &str, _container_type: &str) {
        self.path.pop();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let data = param.base().into_data();
        let digest = sha256(data.as_bytes());
        self.text.push_str(&format!("{} {:?} {digest}\n", self.path.join("."), data.shape()));
    }
}

/// Random weights that follow from the seed alone.
fn random(config: &SamConfig, seed: u64, device: &Device) -> Result<PromptedSam> {
    let sam = config.init_seeded(seed, device)?;
    Ok(PromptedSam { prompt: prompt(config.output_channels, seed, device), sam })
}

/// One token, standard normal, that follows from the seed alone.
fn prompt(channels: usize, seed: u64, device: &Device) -> AutomaticPrompt {
    let mut stream = Stream::seeded(seed, "automatic prompt");
    let values: Vec<f32> = (0..channels).map(|_| stream.normal() as f32).collect();
    let token = Tensor::from_data(TensorData::new(values, [1, channels]), device);
    AutomaticPrompt { token: Param::from_tensor(token), text_affine: None }
}

impl BaseModel {
    /// Loads or draws the base model for square inputs of `image_size` px on `device` (without autodiff).
    ///
    /// # Errors
    /// The file cannot be read or does not fit the architecture (all tensors that do not fit are listed), or an image size that
    /// the model does not take ([`SamConfig::input_multiple`], [`NetworkConfig::check_images`]).
    pub fn load(config: &ModelConfig, image_size: usize, device: &Device) -> Result<Self> {
        Self::load_with(config, image_size, device, &Assets::default())
    }

    /// As [`load`](Self::load), with what a text prompt may need.
    ///
    /// # Errors
    /// As [`load`](Self::load) and [`TextFinder::find`].
    pub fn load_with(config: &ModelConfig, image_size: usize, device: &Device, assets: &Assets<'_>) -> Result<Self> {
        let carried = network::carried(config)?.map(|own| NetworkChoice::Sizes(Box::new(own.architecture)));
        if let Some(choice) = config.network.as_ref().or(carried.as_ref()) {
            let network::LoadedNetwork { network, name, pretrained, notes } =
                network::load(config, choice, image_size, device)?;
            return Ok(Self::of(Segmenter::Network(network), None, name, pretrained, notes));
        }
        let architecture = |fallback: SamConfig| {
            let own = config.architecture.config().unwrap_or(fallback);
            if config.variant == SamVariant::Paper { own.paper(image_size) } else { own }
        };
        let mut base = match config.base.as_str() {
            "random" => {
                let name = format!("random weights, seed {} (not pre-trained)", config.seed);
                let segmenter = random(&architecture(SamConfig::mini()), config.seed, device)?;
                Self::of(Segmenter::Sam(segmenter), None, name, false, Vec::new())
            }
            name => match shipped::model(name) {
                Some(model) => from_shipped(model, config, image_size, device)?,
                None => from_file(Path::new(name), config, image_size, device)?,
            },
        };
        if let Some(folder) = &config.adapter {
            base = base.with_adapter(folder, device)?;
        }
        if !config.text.is_empty() {
            let finder = TextFinder { clip: config.clip.as_deref(), cache: assets.cache, known: assets.features };
            base = base.with_text(config, &finder.find(&config.text)?, device)?;
        }
        let own = base.config()?;
        let (multiple, is_sam2) = (own.input_multiple(), own.is_sam2());
        if image_size == 0 || !image_size.is_multiple_of(multiple) {
            let of_what = if is_sam2 { "strides" } else { "patch" };
            let problem = format!("must be a multiple of the model's {of_what} of {multiple} px, found {image_size}");
            return Err(TrainError::config("input size (data.image-size)", problem));
        }
        Ok(base)
    }

    /// Side in px of the inputs that a base model was made for.
    ///
    /// # Errors
    /// The file cannot be read or is no checkpoint; a classic network by its name alone, which has no size of its own.
    pub fn native_size(config: &ModelConfig) -> Result<usize> {
        if let Some(network) = &config.network {
            let problem = format!("{} takes many; expected one", network.name());
            return Err(TrainError::config("input size", problem));
        }
        if let Some(own) = network::carried(config)? {
            return Ok(own.image_size[0]);
        }
        let own = match (config.architecture.config(), config.base.as_str()) {
            (Some(own), _) => own,
            (None, base) => match shipped::config(base) {
                Some(own) => own,
                None => Checkpoint::open(base)?.config()?,
            },
        };
        Ok(own.image_size)
    }

    /// The base with an adapter folded in, and with the prompt tokens that lie beside it.
    fn with_adapter(self, folder: &Path, device: &Device) -> Result<Self> {
        let PromptedSam { sam, prompt } = self.segmenter.require_sam("an adapter of the base")?.clone();
        let (sam, _) = load_adapter(sam, folder, &LoadOptions::default())?;
        let (mut prompt, mut labels) = (prompt, self.labels);
        let beside = folder.join(PROMPT_FILE);
        if beside.is_file() {
            let (tokens, names) = AutomaticPrompt::load(&beside, device)?;
            (prompt, labels) = (tokens, Some(names));
        }
        let segmenter = Segmenter::Sam(PromptedSam { sam: materialize(&sam), prompt });
        let name = format!("{} with the adapter {}", self.card.name, folder.display());
        Ok(Self::of(segmenter, labels, name, self.card.pretrained, self.notes))
    }

    /// The same architecture with random weights.
    ///
    /// # Errors
    /// None in practice: the architecture is valid already.
    pub fn reinitialised(&self, seed: u64, device: &Device) -> Result<Self> {
        let name = format!("random weights, seed {seed} (not pre-trained)");
        let segmenter = match &self.segmenter {
            Segmenter::Sam(model) => {
                let channels = model.sam.config().output_channels;
                let mut drawn = random(model.sam.config(), seed, device)?;
                let own = &model.prompt;
                if let (Some(affine), Some(features)) = (&own.text_affine, TextFeatures::of_prompt(own)) {
                    drawn.prompt = text::prompt(&features, affine.norm_kind(), channels, seed, device);
                }
                Segmenter::Sam(drawn)
            }
            Segmenter::Network(network) => Segmenter::Network(network.config().build(device, seed)?),
        };
        Ok(Self::of(segmenter, None, name, false, Vec::new()))
    }

    fn of(
        segmenter: Segmenter,
        labels: Option<Vec<String>>,
        name: String,
        pretrained: bool,
        notes: Vec<String>,
    ) -> Self {
        let mut hash = Hash { text: String::new(), path: Vec::new() };
        segmenter.visit(&mut hash);
        let (sha256, parameters) = (sha256(hash.text.as_bytes()), segmenter.num_parameters());
        Self {
            card: BaseModelCard { name, sha256, pretrained, parameters },
            notes,
            segmenter,
            labels,
            basis_cache: None,
        }
    }

    /// The architecture of a SAM.
    ///
    /// # Errors
    /// A classic network: it has a [configuration of its own](Self::network).
    pub fn config(&self) -> Result<&SamConfig> {
        Ok(self.segmenter.require_sam("its architecture")?.sam.config())
    }

    /// The configuration of a classic network; none for a SAM.
    pub fn network(&self) -> Option<&NetworkConfig> {
        self.segmenter.network().map(seg_baselines::Network::config)
    }

    /// The same with a folder that keeps decompositions between runs.
    #[must_use]
    pub fn with_basis_cache(mut self, folder: Option<&Path>) -> Self {
        self.basis_cache = folder.map(Path::to_path_buf);
        self
    }

    /// What the prompt tokens stand for, where the model came with trained ones.
    pub fn labels(&self) -> Option<&[String]> {
        self.labels.as_deref()
    }

    /// The base model itself, for evaluation.
    pub fn segmenter(&self) -> Segmenter {
        self.segmenter.clone()
    }

    /// Trainable numbers and all numbers, adapters included, of the base with these adapters. Nothing is decomposed where the
    /// configuration gives every rank, so that a check of SAM ViT-B takes seconds; the values of the weights are looked at.
    ///
    /// # Errors
    /// As [`adapted`](Self::adapted).
    pub fn counts(&self, adapter: Option<&AdapterConfig>, device: &Device) -> Result<(usize, usize)> {
        let Some(config) = adapter else { return Ok((0, self.all_parameters())) };
        let plan = check(&self.segmenter, &self.without_features(config))?;
        match plan.trainable() {
            Some(trainable) => Ok((trainable, trainable + plan.frozen_parameters())),
            None => self.adapted(adapter, device).map(|model| (model.trainable, model.total)),
        }
    }

    /// All parameters, the prompt of a SAM included, running statistics of a network not.
    fn all_parameters(&self) -> usize {
        match &self.segmenter {
            Segmenter::Sam(model) => model.num_params(),
            Segmenter::Network(network) => network.num_parameters(),
        }
    }

    /// The base with adapters, ready to train on `device`; without adapters, everything frozen.
    ///
    /// A network's batch norms take the statistics of each batch where their scale and shift are trained in full (by method `full`, or
    /// by a pattern of `train`); elsewhere they are frozen with the running statistics that they have.
    ///
    /// # Errors
    /// A pattern that matches nothing, ranks that do not fit, a decomposition that fails.
    pub fn adapted(&self, adapter: Option<&AdapterConfig>, device: &Device) -> Result<AdaptedModel> {
        let Some(config) = adapter else {
            let segmenter = stable_ids(self.segmenter.clone().no_grad());
            let total = self.all_parameters();
            return Ok(AdaptedModel { segmenter, trainable: 0, total, warnings: Vec::new() });
        };
        let mut options = AttachOptions::default();
        if let Some(folder) = &self.basis_cache {
            options = options.with_basis_cache(folder);
        }
        let config = self.without_features(config);
        let (segmenter, report) = attach(self.segmenter.clone(), &config, &options)?;
        let segmenter = segmenter.with_frozen_norms(&report.plan);
        // What the decompositions needed, in the arenas of their threads.
        #[cfg(feature = "cpu")]
        burn_kernels::give_back_freed_memory();
        let counts = trainable_report(&segmenter)?;
        // A fork has leaves of its own: runs in other threads share the frozen numbers but no graph.
        let segmenter = stable_ids(segmenter.train().fork(&device.clone().autodiff()));
        Ok(AdaptedModel { segmenter, trainable: counts.trainable, total: counts.total, warnings: report.warnings })
    }
}

/// A model ready to train.
#[derive(Debug)]
pub struct AdaptedModel {
    /// The model.
    pub segmenter: Segmenter,
    /// Trainable numbers.
    pub trainable: usize,
    /// All numbers, adapters included.
    pub total: usize,
    /// What the user should know of the adapters.
    pub warnings: Vec<String>,
}

fn from_file(path: &Path, config: &ModelConfig, image_size: usize, device: &Device) -> Result<BaseModel> {
    let checkpoint = Checkpoint::open(path)?;
    let own = match config.architecture.config() {
        Some(own) => own,
        None => checkpoint.config()?,
    };
    let own = if config.variant == SamVariant::Paper { own.paper(image_size) } else { own };
    let (sam, report) = checkpoint.load(&own, device)?;
    let prompt = prompt(own.output_channels, config.seed, device);
    let segmenter = Segmenter::Sam(PromptedSam { sam, prompt });
    Ok(BaseModel::of(segmenter, None, path.display().to_string(), true, notes(&report)))
}

fn from_shipped(model: &ShippedModel, config: &ModelConfig, image_size: usize, device: &Device) -> Result<BaseModel> {
    let own = config.architecture.config().unwrap_or_else(model.config);
    let own = if config.variant == SamVariant::Paper { own.paper(image_size) } else { own };
    let loaded = model.load_as(&own, device)?;
    let segmenter = Segmenter::Sam(PromptedSam { sam: loaded.sam, prompt: loaded.prompt });
    Ok(BaseModel::of(segmenter, Some(loaded.labels), model.name.into(), true, notes(&loaded.report)))
}

/// What the user should know of how a file's tensors were taken.
fn notes(report: &LoadReport) -> Vec<String> {
    let done = [
        ("ignored", &report.ignored),
        ("set aside, for video alone,", &report.video),
        ("dropped", &report.dropped),
        ("resampled", &report.resampled),
        ("rounded to f32", &report.converted),
    ];
    done.into_iter()
        .filter(|(_, names)| !names.is_empty())
        .map(|(what, names)| format!("{what} {} tensor(s) of the checkpoint, the first {}", names.len(), names[0]))
        .collect()
}
