//! A run as a TOML file.
//!
//! Every key has a default but `data.path`; an unknown key is an error. The file with all defaults filled in (the *resolved*
//! configuration) is stored beside the results, and its SHA-256 identifies the run.
//!
//! ```
//! use medseg_train::config::RunConfig;
//!
//! let config = RunConfig::parse(
//!     r#"
//!     seed = 1
//!     [data]
//!     path = "CHASE_DB1"
//!     image-size = 256
//!     [adapter]                # leave out to evaluate the base model without training
//!     method = "salt"
//!     svd-rank = { rule = "fraction", share = 0.9 }
//!     lora-rank = 4
//!     train = ["norm", "pos_embed", "prompt"]
//!     [[loss]]
//!     kind = "dice"
//!     [[loss]]
//!     kind = "cl-dice"
//!     weight = 0.5
//!     iterations = 10
//!     [training]
//!     epochs = 40
//!     learning-rate = 0.005
//!     "#,
//!     "run.toml".as_ref(),
//! )?;
//! assert_eq!(config.training.batch_size, 2);
//! assert!(RunConfig::parse("[data]\npath = \"x\"\nimage-sise = 256", "run.toml".as_ref()).is_err());
//! # Ok::<(), medseg_train::TrainError>(())
//! ```

use crate::data::DataConfig;
use crate::error::{Result, TrainError};
use crate::files::sha256;
use crate::losses::WeightedLoss;
use crate::network::NetworkChoice;
use crate::optimizer::OptimizerConfig;
use crate::schedule::Schedule;
use crate::shipped;
use crate::text::check_texts;
pub use burn_kernels::Precision;
use burn_kernels::check_precision;
use salt_peft::AdapterConfig;
use sam_model::{SamConfig, SamVariant};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// Everything that determines a run's result.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct RunConfig {
    /// Seed of initial values, order and augmentation.
    #[serde(default)]
    pub seed: u64,
    /// Devices: `cpu`, `wgpu`, `cuda`, `cuda:1`, `remote:HOST:PORT`; several split every batch between them.
    #[serde(default = "default_devices")]
    pub devices: Vec<String>,
    /// Images and masks.
    pub data: DataConfig,
    /// The base model.
    #[serde(default)]
    pub model: ModelConfig,
    /// What is trained and how; nothing when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub adapter: Option<AdapterConfig>,
    /// Loss terms.
    #[serde(default)]
    pub loss: WeightedLoss,
    /// Optimiser.
    #[serde(default)]
    pub optimizer: OptimizerConfig,
    /// Learning rate over time.
    #[serde(default)]
    pub schedule: Schedule,
    /// Loop.
    #[serde(default)]
    pub training: TrainingConfig,
    /// Metrics.
    #[serde(default)]
    pub evaluation: EvaluationConfig,
}

fn default_devices() -> Vec<String> {
    vec!["cpu".into()]
}

/// Where the base model's weights come from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(from = "ModelFile", rename_all = "kebab-case")]
pub struct ModelConfig {
    /// `sam-mini` or `sam2-mini` (shipped with the program), `random`, or a checkpoint file (`.pth`, `.safetensors`). Where a run
    /// file names a [network](Self::network), `random` when absent.
    pub base: String,
    /// A classic network instead of a SAM. A file that this program wrote says itself that it is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub network: Option<NetworkChoice>,
    /// A file whose encoder a classic network starts from; its other parts are drawn from the seed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub encoder: Option<PathBuf>,
    /// The architecture: needed for `random` (sam-mini's when absent) and for files that do not tell it (`vit-b` when absent).
    pub architecture: Architecture,
    /// The faithful SAM, or the model as the paper's released code runs it.
    pub variant: SamVariant,
    /// Seed of random weights, for `random` alone.
    pub seed: u64,
    /// The folder of an adapter that is folded into the base before anything else: of this program or of Hugging Face PEFT.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub adapter: Option<PathBuf>,
    /// The text that prompts the model, through the paper's text affine layer, in place of a learned token; one for each label.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub text: Vec<String>,
    /// CLIP's weights, as OpenAI or transformers store them; needed for texts whose features are not kept from an earlier run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub clip: Option<PathBuf>,
}

impl Default for ModelConfig {
    fn default() -> Self {
        Self {
            base: "sam-mini".into(),
            network: None,
            encoder: None,
            architecture: Architecture::Auto,
            variant: SamVariant::Sam,
            seed: 0,
            adapter: None,
            text: Vec::new(),
            clip: None,
        }
    }
}

impl ModelConfig {
    /// Masks have one label, so one text prompts the model.
    fn validate_text(&self) -> Result<()> {
        match self.text.len() {
            0 if self.clip.is_some() => {
                Err(TrainError::config("model.clip", "it encodes a text, but `model.text` names none"))
            }
            0 => Ok(()),
            1 => check_texts(&self.text),
            more => {
                Err(TrainError::config("model.text", format!("expected one text, for the one label, found {more}")))
            }
        }
    }
}

/// The table as a file has it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
struct ModelFile {
    base: Option<String>,
    network: Option<NetworkChoice>,
    encoder: Option<PathBuf>,
    architecture: Architecture,
    variant: SamVariant,
    seed: u64,
    adapter: Option<PathBuf>,
    text: Vec<String>,
    clip: Option<PathBuf>,
}

impl Default for ModelFile {
    fn default() -> Self {
        let ModelConfig { base: _, network, encoder, architecture, variant, seed, adapter, text, clip } =
            ModelConfig::default();
        Self { base: None, network, encoder, architecture, variant, seed, adapter, text, clip }
    }
}

impl From<ModelFile> for ModelConfig {
    fn from(file: ModelFile) -> Self {
        let ModelFile { base, network, encoder, architecture, variant, seed, adapter, text, clip } = file;
        let absent = if network.is_some() { "random" } else { "sam-mini" };
        let base = base.unwrap_or_else(|| absent.into());
        Self { base, network, encoder, architecture, variant, seed, adapter, text, clip }
    }
}

impl ModelConfig {
    /// Refuses what only a SAM has, beside a classic network.
    pub(crate) fn require_nothing_of_sam(&self) -> Result<()> {
        let of_sam = [
            ("model.architecture", self.architecture != Architecture::Auto),
            ("model.variant", self.variant != SamVariant::Sam),
            ("model.adapter", self.adapter.is_some()),
            ("model.text", !self.text.is_empty()),
        ];
        match of_sam.into_iter().find(|(_, is_given)| *is_given) {
            Some((field, _)) => Err(TrainError::config(field, "says something of a SAM; leave it out of a network")),
            None => Ok(()),
        }
    }

    /// Whether the base is a file, which may be named relative to the run file.
    pub(crate) fn is_file(&self) -> bool {
        !shipped::is_name(&self.base)
    }

    /// Checks what can be checked without reading a file.
    fn validate(&self) -> Result<()> {
        if let Architecture::Custom(config) = &self.architecture {
            config.validate().map_err(|error| TrainError::config("model.architecture", error.to_string()))?;
        }
        let Some(network) = &self.network else {
            return match &self.encoder {
                None => Ok(()),
                Some(_) => Err(TrainError::config("model.encoder", "is that of a network; name it as `network`")),
            };
        };
        network.architecture()?;
        self.require_nothing_of_sam()?;
        if shipped::model(&self.base).is_some() {
            let problem =
                format!("a network starts from `random` or from a file with its weights, found {:?}", self.base);
            return Err(TrainError::config("model.base", problem));
        }
        if self.encoder.is_some() && self.base != "random" {
            let problem =
                format!("everything else is then drawn at random; expected base = \"random\", found {:?}", self.base);
            return Err(TrainError::config("model.encoder", problem));
        }
        Ok(())
    }
}

/// An architecture by name or in full.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Architecture {
    /// As the checkpoint says; sam-mini's for random weights.
    #[default]
    Auto,
    /// SAM ViT-B.
    VitB,
    /// SAM ViT-L.
    VitL,
    /// SAM ViT-H.
    VitH,
    /// The small SAM of the demonstration.
    Mini,
    /// The small SAM 2 of the demonstration.
    Sam2Mini,
    /// SAM 2 or 2.1, tiny.
    Sam2Tiny,
    /// SAM 2 or 2.1, small.
    Sam2Small,
    /// SAM 2 or 2.1, base+.
    Sam2BasePlus,
    /// SAM 2 or 2.1, large.
    Sam2Large,
    /// Every size given.
    Custom(Box<SamConfig>),
}

impl Architecture {
    /// The configuration; `None` for [`Auto`](Self::Auto).
    pub fn config(&self) -> Option<SamConfig> {
        match self {
            Self::Auto => None,
            Self::VitB => Some(SamConfig::vit_b()),
            Self::VitL => Some(SamConfig::vit_l()),
            Self::VitH => Some(SamConfig::vit_h()),
            Self::Mini => Some(SamConfig::mini()),
            Self::Sam2Mini => Some(SamConfig::sam2_mini()),
            Self::Sam2Tiny => Some(SamConfig::sam2_tiny()),
            Self::Sam2Small => Some(SamConfig::sam2_small()),
            Self::Sam2BasePlus => Some(SamConfig::sam2_base_plus()),
            Self::Sam2Large => Some(SamConfig::sam2_large()),
            Self::Custom(config) => Some((**config).clone()),
        }
    }
}

/// The loop.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct TrainingConfig {
    /// Passes over the training images.
    pub epochs: usize,
    /// Images per backward pass.
    pub batch_size: usize,
    /// Backward passes per optimiser step.
    pub accumulate: usize,
    /// Base learning rate.
    pub learning_rate: f64,
    /// Largest Euclidean norm of all gradients together; `"none"` for no clipping.
    #[serde(with = "number_or_none")]
    pub clip_norm: Option<f32>,
    /// Stop after this many validations without a better one; never when absent.
    pub patience: Option<usize>,
    /// Epochs from one validation to the next; the last epoch is always validated.
    pub validate_every: usize,
    /// A checkpoint is saved when this many seconds have passed since the last one, inside an epoch too.
    pub checkpoint_seconds: u64,
    /// What the bundle at the end keeps of the bases of SALT and SVD tuning: all of it (`basis`, opens anywhere and can be trained
    /// further), the updates (`delta`) or only fingerprints (`recompute`, the smallest; opens on the same kind of machine).
    pub basis: salt_peft::BasisStorage,
    /// How exactly linear layers multiply: `f32`; on CPUs with AVX512-BF16 or AMX `bf16`, with AMX `f32-amx`; on GPUs that have it `f16`,
    /// with the loss scaled and steps left out whose gradients are not finite. Chosen by the user, never by what is found.
    #[serde(skip_serializing_if = "is_f32")]
    pub precision: Precision,
    /// Keep only the inputs of the encoder's blocks for the backward pass and compute each block a second time: a third more time for
    /// much less memory, and the same result. SAM and SAM 2 alone.
    #[serde(skip_serializing_if = "is_off")]
    pub activation_checkpointing: bool,
    /// Where nothing of the encoder is trained and training does not vary its images: keep their embeddings on the disk of the run's
    /// directory, up to so many MiB, so that the encoder sees each image once. The result is the same. Nothing is kept when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub keep_embeddings_mib: Option<u64>,
    /// On a CPU: keep copies of frozen weights in the order in which products read them, in up to so many MiB of memory, instead of copying
    /// them in each step. The result is the same. Nothing is kept when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub keep_packed_mib: Option<u64>,
}

fn is_off(switch: &bool) -> bool {
    !switch
}

/// The default is left out, so that runs from before the key keep their identity.
fn is_f32(precision: &Precision) -> bool {
    *precision == Precision::F32
}

/// A number, or the word `none`: an absent key means the default, so that "nothing" needs a word of its own.
mod number_or_none {
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    const NONE: &str = "none";

    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Value {
        Number(f32),
        Word(String),
    }

    pub(super) fn serialize<S: Serializer>(value: &Option<f32>, serializer: S) -> Result<S::Ok, S::Error> {
        match value {
            Some(number) => serializer.serialize_f32(*number),
            None => serializer.serialize_str(NONE),
        }
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<f32>, D::Error> {
        match Value::deserialize(deserializer)? {
            Value::Number(number) => Ok(Some(number)),
            Value::Word(word) if word == NONE => Ok(None),
            Value::Word(word) => Err(D::Error::custom(format!("expected a number or \"{NONE}\", found {word:?}"))),
        }
    }
}

impl Default for TrainingConfig {
    fn default() -> Self {
        Self {
            epochs: 50,
            batch_size: 2,
            accumulate: 1,
            learning_rate: 1e-3,
            clip_norm: Some(1.0),
            patience: None,
            validate_every: 1,
            checkpoint_seconds: 30,
            basis: salt_peft::BasisStorage::Basis,
            precision: Precision::F32,
            activation_checkpointing: false,
            keep_embeddings_mib: None,
            keep_packed_mib: None,
        }
    }
}

/// What is measured.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct EvaluationConfig {
    /// Images per forward pass.
    pub batch_size: usize,
    /// Definition of the boundary distances.
    pub definition: medseg_metrics::Definition,
    /// Tolerance of the normalised surface Dice, in px.
    pub tolerance: f64,
    /// Grid on which masks are compared: the image's own pixels, or the network's square input (the paper).
    pub grid: EvaluationGrid,
    /// Keep Dice and HD95 of the best epoch each, as the paper's code reports them, beside the honest figures.
    pub best_of_each: bool,
}

impl Default for EvaluationConfig {
    fn default() -> Self {
        Self {
            batch_size: 4,
            definition: medseg_metrics::Definition::MaxDirected,
            tolerance: 2.0,
            grid: EvaluationGrid::Original,
            best_of_each: false,
        }
    }
}

/// Where masks are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum EvaluationGrid {
    /// In the pixels of the original image: predictions are mapped back.
    #[default]
    Original,
    /// In the network's input, padding included, as the paper's released code does.
    Network,
}

impl RunConfig {
    /// A run on the data set at `path` with every default.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self {
            seed: 0,
            devices: default_devices(),
            data: DataConfig::new(path),
            model: ModelConfig::default(),
            adapter: None,
            loss: WeightedLoss::default(),
            optimizer: OptimizerConfig::default(),
            schedule: Schedule::default(),
            training: TrainingConfig::default(),
            evaluation: EvaluationConfig::default(),
        }
    }

    /// Parses and checks a run file's text; `path` is named in messages.
    ///
    /// # Errors
    /// Syntax errors and unknown keys with their line, values that no run can have.
    pub fn parse(text: &str, path: &Path) -> Result<Self> {
        let config: Self = toml::from_str(text)
            .map_err(|error| TrainError::Toml { path: path.to_path_buf(), message: error.to_string() })?;
        config.validate()?;
        Ok(config)
    }

    /// Reads a run file; relative paths in it are relative to the file.
    ///
    /// # Errors
    /// The file cannot be read, or as [`parse`](Self::parse).
    pub fn read(path: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(path).map_err(TrainError::io("cannot read", path))?;
        let mut config = Self::parse(&text, path)?;
        if let Some(folder) = path.parent() {
            let resolve = |file: &Path| std::path::absolute(folder.join(file)).unwrap_or_else(|_| folder.join(file));
            config.data.resolve(&resolve);
            if config.model.is_file() {
                config.model.base = resolve(Path::new(&config.model.base)).display().to_string();
            }
            let model = &mut config.model;
            for file in [&mut model.adapter, &mut model.clip, &mut model.encoder].into_iter().flatten() {
                *file = resolve(file);
            }
        }
        Ok(config)
    }

    /// Checks every value that can be checked without data and model.
    ///
    /// # Errors
    /// The first value that no run can have.
    pub fn validate(&self) -> Result<()> {
        let training = &self.training;
        for (name, value) in [
            ("training.epochs", training.epochs),
            ("training.batch-size", training.batch_size),
            ("training.accumulate", training.accumulate),
            ("training.validate-every", training.validate_every),
            ("evaluation.batch-size", self.evaluation.batch_size),
        ] {
            if value == 0 {
                return Err(TrainError::config(name, "must be at least 1, found 0"));
            }
        }
        if !(training.learning_rate.is_finite() && training.learning_rate > 0.0) {
            let problem = format!("must be positive, found {}", training.learning_rate);
            return Err(TrainError::config("training.learning-rate", problem));
        }
        if let Some(limit) = training.clip_norm
            && !(limit.is_finite() && limit > 0.0)
        {
            return Err(TrainError::config("training.clip-norm", format!("must be positive, found {limit}")));
        }
        if training.keep_embeddings_mib == Some(0) {
            return Err(TrainError::config("training.keep-embeddings-mib", "must be at least 1, found 0"));
        }
        if training.keep_packed_mib == Some(0) {
            return Err(TrainError::config("training.keep-packed-mib", "must be at least 1, found 0"));
        }
        if training.keep_packed_mib.is_some() && self.devices.iter().all(|name| name != "cpu") {
            let problem = format!("weights are packed on CPUs alone, found {:?}", self.devices);
            return Err(TrainError::config("training.keep-packed-mib", problem));
        }
        if training.patience == Some(0) {
            return Err(TrainError::config("training.patience", "must be at least 1, found 0"));
        }
        let tolerance = self.evaluation.tolerance;
        if !(tolerance.is_finite() && tolerance >= 0.0) {
            return Err(TrainError::config("evaluation.tolerance", format!("must be 0 or more, found {tolerance}")));
        }
        if self.devices.is_empty() {
            return Err(TrainError::config("devices", "at least one is needed"));
        }
        for name in &self.devices {
            name.parse::<crate::device::DeviceName>()?;
        }
        let misplaced = |name: &String| match training.precision {
            Precision::F32 => false,
            Precision::F16 => name == "cpu",
            _ => name != "cpu",
        };
        if self.devices.iter().any(misplaced) {
            let place = if training.precision == Precision::F16 { "GPUs" } else { "CPUs" };
            let name = training.precision.name();
            let problem = format!("{name} is computed by {place} alone, found {:?}", self.devices);
            return Err(TrainError::config("training.precision", problem));
        }
        check_precision(training.precision).map_err(|error| TrainError::config("training.precision", error.reason))?;
        self.model.validate()?;
        self.model.validate_text()?;
        if let Some(adapter) = &self.adapter {
            adapter.validate().map_err(|error| TrainError::config("adapter", error.to_string()))?;
        }
        self.data.validate()?;
        self.loss.validate()?;
        self.optimizer.validate()?;
        self.schedule.validate()
    }

    /// The resolved configuration as TOML.
    ///
    /// # Errors
    /// None in practice: every value has a TOML form.
    pub fn to_toml(&self) -> Result<String> {
        toml::to_string(self).map_err(|error| TrainError::config("run", error.to_string()))
    }

    /// SHA-256 of the resolved configuration, in hexadecimal.
    ///
    /// # Errors
    /// As [`to_toml`](Self::to_toml).
    pub fn hash(&self) -> Result<String> {
        Ok(sha256(self.to_toml()?.as_bytes()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<RunConfig> {
        RunConfig::parse(text, Path::new("run.toml"))
    }

    #[test]
    fn the_resolved_file_parses_to_itself() {
        let mut config = RunConfig::new("somewhere");
        config.adapter = Some(AdapterConfig::salt(8, 4));
        config.model.architecture = Architecture::Custom(Box::new(SamConfig::mini()));
        config.training.clip_norm = None;
        let text = config.to_toml().unwrap();
        assert_eq!(parse(&text).unwrap(), config);
        assert_eq!(parse(&text).unwrap().hash().unwrap(), config.hash().unwrap());
        config.seed = 1;
        assert_ne!(parse(&text).unwrap().hash().unwrap(), config.hash().unwrap());
    }

    #[test]
    fn every_level_refuses_unknown_keys_and_names_them() {
        let head = "[data]\npath = \"x\"\n";
        for bad in [
            format!("sead = 1\n{head}"),
            format!("{head}imagesize = 3\n"),
            format!("{head}[model]\nbasse = \"random\"\n"),
            format!("{head}[adapter]\nmethod = \"lora\"\nrank = 4\n"),
            format!("{head}[[loss]]\nkind = \"dice\"\nsmoothing = 1\n"),
            format!("{head}[optimizer]\nkind = \"adam-w\"\neps = 1e-8\n"),
            format!("{head}[schedule]\nkind = \"constant\"\nwarmup = 0.1\n"),
            format!("{head}[training]\nlr = 0.1\n"),
            format!("{head}[evaluation]\nspacing = 1\n"),
        ] {
            let message = parse(&bad).unwrap_err().to_string();
            assert!(message.contains("run.toml") && message.contains("unknown"), "{bad}\n{message}");
        }
        assert!(parse("seed = 1").unwrap_err().to_string().contains("data"));
    }

    #[test]
    fn values_that_no_run_can_have_are_named() {
        let head = "[data]\npath = \"x\"\n";
        for (text, field) in [
            ("[training]\nepochs = 0", "training.epochs"),
            ("[training]\nlearning-rate = -1.0", "training.learning-rate"),
            ("[training]\nclip-norm = 0.0", "training.clip-norm"),
            ("[training]\npatience = 0", "training.patience"),
            ("[training]\nkeep-embeddings-mib = 0", "training.keep-embeddings-mib"),
            ("[training]\nkeep-packed-mib = 0", "training.keep-packed-mib"),
            ("[evaluation]\ntolerance = -1.0", "evaluation.tolerance"),
            ("[adapter]\nmethod = \"lora\"\nlora-rank = 0", "lora-rank"),
            ("[adapter]\nmethod = \"lora\"\nform = \"diag\"", "form"),
        ] {
            let message = parse(&format!("{head}{text}")).unwrap_err().to_string();
            assert!(message.contains(field), "{text}: {message}");
        }
        let message =
            parse(&format!("devices = [\"cuda\"]\n{head}[training]\nprecision = \"bf16\"")).unwrap_err().to_string();
        assert!(message.contains("training.precision") && message.contains("cuda"), "{message}");
        let message =
            parse(&format!("devices = [\"wgpu\"]\n{head}[training]\nkeep-packed-mib = 8")).unwrap_err().to_string();
        assert!(message.contains("training.keep-packed-mib") && message.contains("wgpu"), "{message}");
        assert!(parse(&format!("devices = [\"tpu\"]\n{head}")).unwrap_err().to_string().contains("tpu"));
    }

    #[test]
    fn a_precision_is_taken_where_the_machine_has_it_and_named_where_it_has_not() {
        for (name, precision) in [("f32", Precision::F32), ("f32-amx", Precision::F32Amx), ("bf16", Precision::Bf16)] {
            let found = parse(&format!("[data]\npath = \"x\"\n[training]\nprecision = \"{name}\""));
            match check_precision(precision) {
                Ok(()) => assert_eq!(found.unwrap().training.precision, precision),
                Err(_) => {
                    let message = found.unwrap_err().to_string();
                    assert!(message.contains("training.precision") && message.contains("AMX"), "{message}");
                }
            }
        }
        assert!(check_precision(Precision::F32).is_ok());
        let on = |device: &str| {
            parse(&format!("devices = [\"{device}\"]\n[data]\npath = \"x\"\n[training]\nprecision = \"f16\""))
        };
        assert_eq!(on("wgpu").unwrap().training.precision, Precision::F16);
        let message = on("cpu").unwrap_err().to_string();
        assert!(message.contains("training.precision") && message.contains("GPUs"), "{message}");
    }

    #[test]
    fn runs_from_before_a_key_keep_their_identity() {
        let text = RunConfig::new("somewhere").to_toml().unwrap();
        let later = ["precision", "activation-checkpointing", "keep-embeddings", "keep-packed", "text =", "clip ="];
        assert!(later.iter().all(|key| !text.contains(key)), "{text}");
    }
}
