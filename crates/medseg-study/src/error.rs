//! What can go wrong, each message naming the file or field, what was expected and what was found.

use medseg_data::DataError;
use medseg_metrics::MetricsError;
use medseg_train::TrainError;
use std::path::{Path, PathBuf};

/// Any failure of a comparison.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StudyError {
    /// A failure of the engine; also [`TrainError::Stopped`], where a comparison was asked to stop.
    #[error(transparent)]
    Train(Box<TrainError>),
    /// A data set cannot be used.
    #[error(transparent)]
    Data(#[from] DataError),
    /// A score or a statistic cannot be computed.
    #[error(transparent)]
    Metrics(#[from] MetricsError),
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
    /// A file does not hold what it should.
    #[error("{}: {problem}", path.display())]
    Format {
        /// The file.
        path: PathBuf,
        /// What was expected and what was found.
        problem: String,
    },
    /// A setting is not acceptable.
    #[error("{field}: {problem}")]
    Setting {
        /// The setting.
        field: &'static str,
        /// What was expected and what was found.
        problem: String,
    },
    /// The plan and what is at hand do not fit together.
    #[error("{0}")]
    Plan(String),
    /// A picture could not be drawn or written.
    #[error("picture {}: {source}", path.display())]
    Picture {
        /// The picture, or what it shows.
        path: PathBuf,
        /// The reason.
        source: image::ImageError,
    },
    /// A curve could not be drawn.
    #[error("plot {title:?}: {problem}")]
    Plot {
        /// Its title.
        title: String,
        /// The drawing library's reason.
        problem: String,
    },
}

impl From<TrainError> for StudyError {
    fn from(error: TrainError) -> Self {
        Self::Train(Box::new(error))
    }
}

/// The results of a comparison's steps.
pub type Result<T> = std::result::Result<T, StudyError>;

impl StudyError {
    pub(crate) fn io(action: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.to_path_buf();
        move |source| Self::Io { action, path, source }
    }

    pub(crate) fn format(path: &Path, problem: impl Into<String>) -> Self {
        Self::Format { path: path.to_path_buf(), problem: problem.into() }
    }

    pub(crate) fn setting(field: &'static str, problem: impl Into<String>) -> Self {
        Self::Setting { field, problem: problem.into() }
    }

    /// Whether the comparison was asked to stop; its state is saved, and the same call continues.
    pub fn is_stop(&self) -> bool {
        matches!(self, Self::Train(error) if matches!(**error, TrainError::Stopped { .. }))
    }
}
