//! The model of a run: SAM with an automatic prompt, its base weights, its adapters.

use crate::checkpoint::{sha256, stable_ids};
use crate::config::ModelConfig;
use crate::error::{Result, TrainError};
use crate::results::BaseModelCard;
use burn::module::{Module, ModuleVisitor, Param};
use burn::tensor::{Device, Tensor, TensorData};
use medseg_data::random::Stream;
use salt_peft::{AdapterConfig, AttachOptions, attach, check, trainable_report};
use sam_model::{AutomaticPrompt, Checkpoint, Sam, SamConfig, SamVariant, upsample_logits};
use std::path::Path;

/// SAM that segments without a user's prompt.
#[derive(Module, Debug)]
pub struct Segmenter {
    /// The model.
    pub sam: Sam,
    /// One token per label.
    pub prompt: AutomaticPrompt,
}

impl Segmenter {
    /// Normalised images `[n, 3, size, size]` to logits `[n, labels, size, size]`.
    ///
    /// # Errors
    /// A size that is no multiple of the model's patch.
    pub fn forward(&self, images: Tensor<4>) -> Result<Tensor<4>> {
        let [_, _, height, width] = images.dims();
        let logits = self.sam.forward_automatic(images, &self.prompt).map_err(sam)?;
        Ok(upsample_logits(logits, [height, width]))
    }
}

pub(crate) fn sam(error: sam_model::SamError) -> TrainError {
    TrainError::Sam(Box::new(error))
}

pub(crate) fn peft(error: salt_peft::PeftError) -> TrainError {
    TrainError::Peft(Box::new(error))
}

/// Base weights in memory, shared by the runs that start from them.
#[derive(Debug, Clone)]
pub struct BaseModel {
    /// Name, checksum, size.
    pub card: BaseModelCard,
    /// What the user should know of the file: tensors ignored, dropped or resampled.
    pub notes: Vec<String>,
    segmenter: Segmenter,
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
fn random(config: &SamConfig, seed: u64, device: &Device) -> Result<Segmenter> {
    let sam = config.init_seeded(seed, device).map_err(sam)?;
    Ok(Segmenter { prompt: prompt(config.output_channels, seed, device), sam })
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
    /// is no multiple of the patch.
    pub fn load(config: &ModelConfig, image_size: usize, device: &Device) -> Result<Self> {
        let architecture = |fallback: SamConfig| {
            let own = config.architecture.config().unwrap_or(fallback);
            if config.variant == SamVariant::Paper { own.paper(image_size) } else { own }
        };
        let (segmenter, name, pretrained, notes) = match config.base.as_str() {
            "random" => {
                let name = format!("random weights, seed {} (not pre-trained)", config.seed);
                (random(&architecture(SamConfig::mini()), config.seed, device)?, name, false, Vec::new())
            }
            "sam-mini" => mini(config, image_size, device)?,
            file => from_file(Path::new(file), config, image_size, device)?,
        };
        let patch = segmenter.sam.config().patch_size;
        if image_size == 0 || !image_size.is_multiple_of(patch) {
            let problem = format!("must be a multiple of the model's patch of {patch} px, found {image_size}");
            return Err(TrainError::config("data.image-size", problem));
        }
        Ok(Self::of(segmenter, name, pretrained, notes))
    }

    /// The same architecture with random weights.
    ///
    /// # Errors
    /// None in practice: the architecture is valid already.
    pub fn reinitialised(&self, seed: u64, device: &Device) -> Result<Self> {
        let name = format!("random weights, seed {seed} (not pre-trained)");
        Ok(Self::of(random(self.config(), seed, device)?, name, false, Vec::new()))
    }

    fn of(segmenter: Segmenter, name: String, pretrained: bool, notes: Vec<String>) -> Self {
        let mut hash = Hash { text: String::new(), path: Vec::new() };
        segmenter.visit(&mut hash);
        let (sha256, parameters) = (sha256(hash.text.as_bytes()), segmenter.sam.num_params());
        Self { card: BaseModelCard { name, sha256, pretrained, parameters }, notes, segmenter }
    }

    /// The architecture.
    pub fn config(&self) -> &SamConfig {
        self.segmenter.sam.config()
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
        let Some(config) = adapter else { return Ok((0, self.segmenter.num_params())) };
        let plan = check(&self.segmenter, config).map_err(peft)?;
        match plan.trainable() {
            Some(trainable) => Ok((trainable, trainable + plan.frozen_parameters())),
            None => self.adapted(adapter, device).map(|model| (model.trainable, model.total)),
        }
    }

    /// The base with adapters, ready to train on `device`; without adapters, everything frozen.
    ///
    /// # Errors
    /// A pattern that matches nothing, ranks that do not fit, a decomposition that fails.
    pub fn adapted(&self, adapter: Option<&AdapterConfig>, device: &Device) -> Result<AdaptedModel> {
        let Some(config) = adapter else {
            let segmenter = stable_ids(self.segmenter.clone().no_grad());
            let total = segmenter.num_params();
            return Ok(AdaptedModel { segmenter, trainable: 0, total, warnings: Vec::new() });
        };
        let (segmenter, report) = attach(self.segmenter.clone(), config, &AttachOptions::default()).map_err(peft)?;
        let counts = trainable_report(&segmenter).map_err(peft)?;
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

type Loaded = (Segmenter, String, bool, Vec<String>);

fn from_file(path: &Path, config: &ModelConfig, image_size: usize, device: &Device) -> Result<Loaded> {
    let checkpoint = Checkpoint::open(path).map_err(sam)?;
    let own = match config.architecture.config() {
        Some(own) => own,
        None => checkpoint.config().map_err(sam)?,
    };
    let own = if config.variant == SamVariant::Paper { own.paper(image_size) } else { own };
    let (sam, report) = checkpoint.load(&own, device).map_err(sam)?;
    let prompt = prompt(own.output_channels, config.seed, device);
    let mut notes = Vec::new();
    for (what, names) in [("ignored", &report.ignored), ("dropped", &report.dropped), ("resampled", &report.resampled)]
    {
        if !names.is_empty() {
            notes.push(format!("{what} {} tensor(s) of the checkpoint, the first {}", names.len(), names[0]));
        }
    }
    Ok((Segmenter { sam, prompt }, path.display().to_string(), true, notes))
}

/// The files of sam-mini, part of the program.
const MINI_WEIGHTS: &[u8] = include_bytes!("../assets/sam-mini.safetensors");
const MINI_TOKEN: &[u8] = include_bytes!("../assets/sam-mini-prompt.safetensors");

fn mini(config: &ModelConfig, image_size: usize, device: &Device) -> Result<Loaded> {
    // The readers take files: weights are read tensor by tensor.
    let place = tempfile::tempdir().map_err(TrainError::io("cannot write in", &std::env::temp_dir()))?;
    let file = |name: &str, content: &[u8]| {
        let path = place.path().join(name);
        std::fs::write(&path, content).map_err(TrainError::io("cannot write", &path))?;
        Ok::<_, TrainError>(path)
    };
    let (mut segmenter, _, _, notes) =
        from_file(&file("sam-mini.safetensors", MINI_WEIGHTS)?, config, image_size, device)?;
    let token = file("sam-mini-prompt.safetensors", MINI_TOKEN)?;
    segmenter.prompt = AutomaticPrompt::load(&token, device).map_err(sam)?.0;
    Ok((segmenter, "sam-mini".into(), true, notes))
}
