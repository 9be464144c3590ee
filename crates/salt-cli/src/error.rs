//! What can go wrong in a command, and with which code the process then ends.

use medseg_data::DataError;
use medseg_metrics::MetricsError;
use medseg_study::StudyError;
use medseg_train::TrainError;
use salt_peft::PeftError;
use sam_model::SamError;
use std::path::{Path, PathBuf};

/// Any failure of a command.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CliError {
    /// A failure of the engine.
    #[error(transparent)]
    Train(Box<TrainError>),
    /// A failure of a comparison.
    #[error(transparent)]
    Study(Box<StudyError>),
    /// A data set or an image cannot be used.
    #[error(transparent)]
    Data(#[from] DataError),
    /// A score cannot be computed.
    #[error(transparent)]
    Metrics(#[from] MetricsError),
    /// A failure of the model.
    #[error(transparent)]
    Sam(#[from] SamError),
    /// A failure of an adapter.
    #[error(transparent)]
    Peft(Box<PeftError>),
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
    /// Standard output could not be written.
    #[error("cannot write to standard output: {0}")]
    Output(#[from] std::io::Error),
    /// A file does not hold what it should.
    #[error("{}: {problem}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What was expected and what was found.
        problem: String,
    },
    /// A file that this program may not replace.
    #[error("{}: not replaced: {reason}", path.display())]
    NotOurs {
        /// The file.
        path: PathBuf,
        /// Why it is not replaced.
        reason: &'static str,
    },
    /// Arguments that do not go together, or values that no command takes.
    #[error("{0}")]
    Usage(String),
    /// The command did its work and found what makes it fail, which it has printed or names here.
    #[error("{0}")]
    Found(String),
    /// A picture could not be encoded.
    #[error("picture {}: {source}", path.display())]
    Picture {
        /// The picture.
        path: PathBuf,
        /// The reason.
        source: image::ImageError,
    },
    /// A value could not be written as JSON or TOML.
    #[error("cannot be written as {format}: {problem}")]
    Format {
        /// The format.
        format: &'static str,
        /// The reason.
        problem: String,
    },
    /// Signals cannot be watched for.
    #[error("cannot watch for signals: {0}")]
    Signals(#[from] ctrlc::Error),
}

impl From<TrainError> for CliError {
    fn from(error: TrainError) -> Self {
        Self::Train(Box::new(error))
    }
}

impl From<StudyError> for CliError {
    fn from(error: StudyError) -> Self {
        Self::Study(Box::new(error))
    }
}

impl From<PeftError> for CliError {
    fn from(error: PeftError) -> Self {
        Self::Peft(Box::new(error))
    }
}

impl CliError {
    /// Wraps an input/output error with what was being done ("cannot read") and where.
    pub fn io(action: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.to_path_buf();
        move |source| Self::Io { action, path, source }
    }

    /// A file that does not hold what it should.
    pub fn file(path: &Path, problem: impl Into<String>) -> Self {
        Self::File { path: path.to_path_buf(), problem: problem.into() }
    }

    /// Arguments that do not go together.
    pub fn usage(problem: impl Into<String>) -> Self {
        Self::Usage(problem.into())
    }

    /// Whether the work was asked to stop and saved its state: the same command continues.
    pub fn is_stop(&self) -> bool {
        match self {
            Self::Train(error) => matches!(**error, TrainError::Stopped { .. }),
            Self::Study(error) => error.is_stop(),
            _ => false,
        }
    }

    /// Whether the reader of standard output went away (`salt ... | head`), which is no failure.
    pub fn is_closed_pipe(&self) -> bool {
        matches!(self, Self::Output(error) if error.kind() == std::io::ErrorKind::BrokenPipe)
    }
}
