//! What can go wrong, each message naming the file or field, what was expected and what was found.

use std::path::{Path, PathBuf};

/// Any failure of the engine.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TrainError {
    /// A file or folder could not be read or written.
    #[error("{action} {}: {source}", path.display())]
    Io {
        /// What was being done, as a verb phrase ("cannot read").
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The operating system's reason.
        source: std::io::Error,
    },
    /// A configuration is not acceptable.
    #[error("configuration, {field}: {problem}")]
    Config {
        /// The key, dotted.
        field: String,
        /// What was expected and what was found.
        problem: String,
    },
    /// A TOML file does not parse or holds an unknown key.
    #[error("{}: {message}", path.display())]
    Toml {
        /// The file.
        path: PathBuf,
        /// The parser's message, with line and column.
        message: String,
    },
    /// A results or state file does not hold what it should.
    #[error("{}: {problem}", path.display())]
    Format {
        /// The file.
        path: PathBuf,
        /// What was expected and what was found.
        problem: String,
    },
    /// Another process works in the same run directory.
    #[error("{}: another run is using this directory{owner}; wait for it to end or choose another directory", path.display())]
    Busy {
        /// The run directory.
        path: PathBuf,
        /// The owner, as far as the lock file tells, as " (process N)".
        owner: String,
    },
    /// The run directory belongs to a run with another configuration.
    #[error(
        "{}: this directory holds a run with another configuration (hash {found}, now {expected}); choose another directory or start over with --fresh",
        path.display()
    )]
    OtherRun {
        /// The run directory.
        path: PathBuf,
        /// Hash of the configuration at hand.
        expected: String,
        /// Hash of the stored one.
        found: String,
    },
    /// The disk has less room than the run will need.
    #[error("{}: the run needs about {needed} MB here, and the disk has {free} MB free", path.display())]
    NoRoom {
        /// The folder that the run writes into.
        path: PathBuf,
        /// What the run needs, in MB.
        needed: u64,
        /// What there is, in MB.
        free: u64,
    },
    /// The stop flag was raised; the state is saved and the same command continues.
    #[error("stopped at step {step}; the state is saved, run the same command again to continue")]
    Stopped {
        /// The last finished optimiser step.
        step: u64,
    },
    /// Training produced a number that is not finite.
    #[error(
        "training broke at step {step} (epoch {epoch}): {value}, first in {place}; lower the learning rate, clip gradients, or look at what is named"
    )]
    Diverged {
        /// The loss.
        value: f32,
        /// The optimiser step.
        step: u64,
        /// The epoch, from 0.
        epoch: usize,
        /// Where it appeared first: a parameter, a gradient or an image.
        place: String,
    },
    /// A device cannot be reached or served, or the connection to it was lost.
    #[error("device {}: {problem}", names.join(", "))]
    Device {
        /// The devices, as a run file names them.
        names: Vec<String>,
        /// What happened.
        problem: String,
    },
    /// The model and the configuration or a file do not fit together.
    #[error("model: {0}")]
    Model(String),
    /// The data do not allow the run.
    #[error("data {}: {problem}", path.display())]
    Data {
        /// The data set's folder.
        path: PathBuf,
        /// What is wrong.
        problem: String,
    },
    /// A failure in the SAM crate.
    #[error(transparent)]
    Sam(Box<sam_model::SamError>),
    /// An image cannot be prepared for the network, or its logits cannot be brought back.
    #[error(transparent)]
    Preprocess(#[from] sam_model::PreprocessError),
    /// A failure in the crate of CLIP's text tower.
    #[error(transparent)]
    Clip(Box<clip_text::ClipError>),
    /// A failure in the crate of classic networks.
    #[error(transparent)]
    Network(Box<seg_baselines::BaselineError>),
    /// A failure in the adapter crate.
    #[error(transparent)]
    Peft(Box<salt_peft::PeftError>),
    /// A failure in the data crate.
    #[error(transparent)]
    Dataset(Box<medseg_data::DataError>),
    /// A failure in the metrics crate.
    #[error(transparent)]
    Metrics(Box<medseg_metrics::MetricsError>),
    /// A folder that should be a bundle is none.
    #[error("{}: expected the folder of a trained model (with bundle.json in it), found {found}", path.display())]
    NotABundle {
        /// The folder.
        path: PathBuf,
        /// What is there instead.
        found: String,
    },
    /// A file was written by a newer program.
    #[error(
        "{}: written in version {found} of its format; this program knows versions up to {known}: use a newer one",
        path.display()
    )]
    NewerFormat {
        /// The file.
        path: PathBuf,
        /// The newest version that this program reads.
        known: u32,
        /// The file's version.
        found: u32,
    },
    /// A folder that would be written holds something already.
    #[error("{}: there is something here already; choose another folder", path.display())]
    Occupied {
        /// The folder.
        path: PathBuf,
    },
    /// The base of a bundle could not be loaded.
    #[error(
        "{}: its base {base:?} (SHA-256 {sha256}) cannot be loaded; if it moved, say where it is with --base",
        path.display()
    )]
    BaseOfBundle {
        /// The bundle's manifest.
        path: PathBuf,
        /// The base as named.
        base: String,
        /// What it must hold.
        sha256: String,
        /// Why it cannot be loaded.
        source: Box<TrainError>,
    },
    /// A base is not the one that an adapter was made for.
    #[error("{}: made for a base with SHA-256 {expected}, but {base:?} has {found}", path.display())]
    OtherBase {
        /// The file that names the base.
        path: PathBuf,
        /// The base as named.
        base: String,
        /// What it should hold.
        expected: String,
        /// What it holds.
        found: String,
    },
    /// An adapter was given without the model that it adapts.
    #[error("{}: an adapter; say what it adapts with --base (sam-mini, sam2-mini, or a checkpoint file)", path.display())]
    AdapterAlone {
        /// The adapter's folder.
        path: PathBuf,
    },
    /// A run's directory holds no trained model.
    #[error(
        "{}: a run without a trained model in it: it is not finished, or of a version before bundles; run `train` on it again",
        path.display()
    )]
    UnfinishedRun {
        /// The directory.
        path: PathBuf,
    },
    /// Several problems found by a check, all at once.
    #[error("{} problem(s) found:\n{}", .0.len(), .0.iter().map(|p| format!("  - {p}")).collect::<Vec<_>>().join("\n"))]
    Check(Vec<String>),
}

impl From<sam_model::SamError> for TrainError {
    fn from(error: sam_model::SamError) -> Self {
        Self::Sam(Box::new(error))
    }
}

impl From<seg_baselines::BaselineError> for TrainError {
    fn from(error: seg_baselines::BaselineError) -> Self {
        Self::Network(Box::new(error))
    }
}

impl From<salt_peft::PeftError> for TrainError {
    fn from(error: salt_peft::PeftError) -> Self {
        Self::Peft(Box::new(error))
    }
}

impl From<clip_text::ClipError> for TrainError {
    fn from(error: clip_text::ClipError) -> Self {
        Self::Clip(Box::new(error))
    }
}

impl From<medseg_data::DataError> for TrainError {
    fn from(error: medseg_data::DataError) -> Self {
        Self::Dataset(Box::new(error))
    }
}

impl From<medseg_metrics::MetricsError> for TrainError {
    fn from(error: medseg_metrics::MetricsError) -> Self {
        Self::Metrics(Box::new(error))
    }
}

/// The engine's results.
pub type Result<T> = std::result::Result<T, TrainError>;

impl TrainError {
    /// Wraps an input/output error with what was being done and where.
    pub fn io(action: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.to_path_buf();
        move |source| Self::Io { action, path, source }
    }

    /// An unacceptable configuration value.
    pub fn config(field: impl Into<String>, problem: impl Into<String>) -> Self {
        Self::Config { field: field.into(), problem: problem.into() }
    }

    /// A file that does not hold what it should.
    pub fn format(path: &Path, problem: impl Into<String>) -> Self {
        Self::Format { path: path.to_path_buf(), problem: problem.into() }
    }

    /// A data set that does not allow the run.
    pub fn data(path: &Path, problem: impl Into<String>) -> Self {
        Self::Data { path: path.to_path_buf(), problem: problem.into() }
    }
}
