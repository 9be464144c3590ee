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
use crate::optimizer::OptimizerConfig;
use crate::schedule::Schedule;
use burn_kernels::{Precision, check_precision};
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
    /// Devices: `cpu`, `wgpu`, `cuda`, `cuda:1`; several split every batch between them.
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
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct ModelConfig {
    /// `sam-mini` (shipped with the program), `random`, or a checkpoint file (`.pth`, `.safetensors`).
    pub base: String,
    /// The architecture: needed for `random` (sam-mini's when absent) and for files that do not tell it (`vit-b` when absent).
    pub architecture: Architecture,
    /// The faithful SAM, or the model as the paper's released code runs it.
    pub variant: SamVariant,
    /// Seed of random weights, for `random` alone.
    pub seed: u64,
    /// The folder of an adapter that is folded into the base before anything else: of this program or of Hugging Face PEFT.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub adapter: Option<PathBuf>,
}

impl Default for ModelConfig {
    fn default() -> Self {
        Self {
            base: "sam-mini".into(),
            architecture: Architecture::Auto,
            variant: SamVariant::Sam,
            seed: 0,
            adapter: None,
        }
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
    /// How exactly a CPU multiplies: `f32`, or on processors with AMX `f32-amx` and `bf16`. Chosen by the user, never by what is found.
    #[serde(skip_serializing_if = "is_f32")]
    pub precision: Precision,
    /// Keep only the inputs of the encoder's blocks for the backward pass and compute each block a second time: a third more time for
    /// much less memory, and the same result. SAM's own encoder alone.
    #[serde(skip_serializing_if = "is_off")]
    pub activation_checkpointing: bool,
    /// Where nothing of the encoder is trained and training does not vary its images: keep their embeddings on the disk of the run's
    /// directory, up to so many MiB, so that the encoder sees each image once. The result is the same. Nothing is kept when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub keep_embeddings_mib: Option<u64>,
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
            if !matches!(config.model.base.as_str(), "sam-mini" | "random") {
                config.model.base = resolve(Path::new(&config.model.base)).display().to_string();
            }
            if let Some(adapter) = &mut config.model.adapter {
                *adapter = resolve(adapter);
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
        if training.precision != Precision::F32 && self.devices.iter().any(|name| name != "cpu") {
            let problem = format!("{} is computed by CPUs alone, found {:?}", training.precision.name(), self.devices);
            return Err(TrainError::config("training.precision", problem));
        }
        check_precision(training.precision).map_err(|error| TrainError::config("training.precision", error.reason))?;
        if let Architecture::Custom(config) = &self.model.architecture {
            config.validate().map_err(|error| TrainError::config("model.architecture", error.to_string()))?;
        }
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
    }

    #[test]
    fn runs_from_before_the_precision_keep_their_identity() {
        let config = RunConfig::new("somewhere");
        let text = config.to_toml().unwrap();
        assert!(!text.contains("precision") && !text.contains("activation-checkpointing"), "{text}");
        assert!(!text.contains("keep-embeddings"), "{text}");
    }
}
