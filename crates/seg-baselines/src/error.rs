//! What can go wrong, with the file, tensor or field in every message.

use std::path::PathBuf;

use named_tensors::TensorsError;

use crate::checkpoint::Mismatch;

/// Any failure of this crate.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BaselineError {
    /// A field of a [`NetworkConfig`](crate::NetworkConfig) has a value that no network can have.
    #[error("configuration field `{field}`: expected {expected}, found {found}")]
    Config {
        /// The field's name.
        field: &'static str,
        /// What the field may be.
        expected: String,
        /// What it is.
        found: String,
    },

    /// Images handed to a network have a shape that it cannot take.
    #[error("{what}: expected shape {expected}, found {found:?}")]
    Shape {
        /// Which input.
        what: &'static str,
        /// The shape in words.
        expected: String,
        /// The shape found.
        found: Vec<usize>,
    },

    /// A value handed to the crate is out of its range.
    #[error("{what}: expected {expected}, found {found}")]
    Value {
        /// Which value.
        what: &'static str,
        /// The range in words.
        expected: String,
        /// The value found.
        found: String,
    },

    /// A norm would have to take mean and variance over a single value per channel, which leaves nothing of the image: the
    /// batch or the images are too small.
    #[error(
        "{layer} of {network}: expected at least 2 values per channel to take statistics of, found 1 \
         ({batch} image(s) of {height}x{width}); use more images per batch, or larger ones"
    )]
    TooFewValues {
        /// The network's name.
        network: &'static str,
        /// Which norm.
        layer: &'static str,
        /// Images in the batch.
        batch: usize,
        /// Rows of an image.
        height: usize,
        /// Columns of an image.
        width: usize,
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

    /// A checkpoint does not hold exactly the tensors of the network. Nothing was loaded.
    #[error("{path}: the checkpoint does not fit the network; nothing was loaded\n{mismatch}", path = path.display())]
    Mismatch {
        /// The checkpoint.
        path: PathBuf,
        /// The three lists.
        mismatch: Mismatch,
    },
}

impl BaselineError {
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

impl From<TensorsError> for BaselineError {
    fn from(error: TensorsError) -> Self {
        match error {
            TensorsError::Io { path, source } => Self::Io { path, source },
            TensorsError::Format { path, reason } => Self::Format { path, reason },
            other => Self::Format { path: other.path().to_owned(), reason: other.to_string() },
        }
    }
}
