//! What can go wrong, with the file, tensor or field in every message.

use std::path::PathBuf;

use named_tensors::TensorsError;

use crate::checkpoint::Mismatch;

/// Any failure of this crate.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ClipError {
    /// A field of a [`ClipTextConfig`](crate::ClipTextConfig) has a value that no tower can have.
    #[error("configuration field `{field}`: expected {expected}, found {found}")]
    Config {
        /// The field's name.
        field: &'static str,
        /// What the field may be.
        expected: String,
        /// What it is.
        found: String,
    },

    /// A text or its tokens cannot be encoded.
    #[error("{what}: expected {expected}, found {found}")]
    Value {
        /// Which value.
        what: &'static str,
        /// What it may be.
        expected: String,
        /// What it is.
        found: String,
    },

    /// A file cannot be read.
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

    /// A checkpoint does not hold exactly the tensors of the tower. Nothing was loaded.
    #[error("{path}: the checkpoint does not fit the text tower; nothing was loaded\n{mismatch}", path = path.display())]
    Mismatch {
        /// The checkpoint.
        path: PathBuf,
        /// The three lists.
        mismatch: Mismatch,
    },
}

impl ClipError {
    pub(crate) fn config(field: &'static str, expected: impl Into<String>, found: impl ToString) -> Self {
        Self::Config { field, expected: expected.into(), found: found.to_string() }
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

impl From<TensorsError> for ClipError {
    fn from(error: TensorsError) -> Self {
        match error {
            TensorsError::Io { path, source } => Self::Io { path, source },
            TensorsError::Format { path, reason } => Self::Format { path, reason },
            other => Self::Format { path: other.path().to_owned(), reason: other.to_string() },
        }
    }
}
