//! What can go wrong, with the file, tensor or field in every message.

use std::path::PathBuf;

use named_tensors::TensorsError;

use crate::checkpoint::Mismatch;

/// Any failure of this crate.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SamError {
    /// A field of a [`SamConfig`](crate::SamConfig) has a value that no model can have.
    #[error("configuration field `{field}`: expected {expected}, found {found}")]
    Config {
        /// The field's name.
        field: &'static str,
        /// What the field may be.
        expected: String,
        /// What it is.
        found: String,
    },

    /// A tensor handed to the model has a shape that the model cannot take.
    #[error("{what}: expected shape {expected}, found {found:?}")]
    Shape {
        /// Which input.
        what: &'static str,
        /// The shape in words.
        expected: String,
        /// The shape found.
        found: Vec<usize>,
    },

    /// A value handed to the model is out of its range or not finite.
    #[error("{what}: expected {expected}, found {found}")]
    Value {
        /// Which input.
        what: &'static str,
        /// The range in words.
        expected: String,
        /// The value found.
        found: String,
    },

    /// A file cannot be read or written.
    #[error("{path}: {source}", path = path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// The operating system's reason.
        source: std::io::Error,
    },

    /// A file is not what its name or place says: truncated, corrupt, hostile or of an unknown format.
    #[error("{path}: {reason}", path = path.display())]
    Format {
        /// The file.
        path: PathBuf,
        /// What was expected and what was found.
        reason: String,
    },

    /// A checkpoint does not hold exactly the tensors of the model. Nothing was loaded.
    #[error("{path}: the checkpoint does not fit the model; nothing was loaded\n{mismatch}", path = path.display())]
    Mismatch {
        /// The checkpoint.
        path: PathBuf,
        /// The three lists.
        mismatch: Mismatch,
    },

    /// A checkpoint holds another kind of model than the one that is asked for: a SAM instead of a SAM 2, the reverse, or the video
    /// part of a SAM 2 alone. Nothing was loaded.
    #[error("{path}: expected {expected}, found {found}", path = path.display())]
    OtherModel {
        /// The checkpoint.
        path: PathBuf,
        /// What the configuration asks for.
        expected: &'static str,
        /// What the names of the tensors show.
        found: &'static str,
    },

    /// An image cannot be prepared, or logits cannot be brought back to it.
    #[error(transparent)]
    Preprocess(#[from] sam_preprocess::PreprocessError),

    /// The predictor was asked for masks before it was given an image.
    #[error("no image is set: call `set_image` first")]
    NoImage,
}

impl SamError {
    pub(crate) fn config(field: &'static str, expected: impl Into<String>, found: impl ToString) -> Self {
        Self::Config { field, expected: expected.into(), found: found.to_string() }
    }

    pub(crate) fn shape(what: &'static str, expected: impl Into<String>, found: &[usize]) -> Self {
        Self::Shape { what, expected: expected.into(), found: found.to_vec() }
    }

    pub(crate) fn value(what: &'static str, expected: impl Into<String>, found: impl ToString) -> Self {
        Self::Value { what, expected: expected.into(), found: found.to_string() }
    }

    pub(crate) fn io(path: impl Into<PathBuf>, source: std::io::Error) -> Self {
        Self::Io { path: path.into(), source }
    }

    pub(crate) fn format(path: impl Into<PathBuf>, reason: impl Into<String>) -> Self {
        Self::Format { path: path.into(), reason: reason.into() }
    }
}

impl From<TensorsError> for SamError {
    fn from(error: TensorsError) -> Self {
        match error {
            TensorsError::Io { path, source } => Self::Io { path, source },
            TensorsError::Format { path, reason } => Self::Format { path, reason },
            other => Self::Format { path: other.path().to_owned(), reason: other.to_string() },
        }
    }
}
