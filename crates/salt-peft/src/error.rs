//! What can go wrong, each message naming the parameter, file or field, what was expected and what was found.

use std::path::PathBuf;

/// Any failure of this crate.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PeftError {
    /// A field of the configuration has a value that makes no sense.
    #[error("adapter configuration: field `{field}`: {reason}")]
    Config {
        /// The field, as it is written in the file.
        field: String,
        /// What was expected and what was found.
        reason: String,
    },

    /// A pattern is not a valid regular expression.
    #[error("adapter configuration: field `{field}`: `{pattern}` is not a regular expression: {source}")]
    Pattern {
        /// The field that holds the pattern.
        field: String,
        /// The pattern.
        pattern: String,
        /// The parser's message.
        source: Box<regex::Error>,
    },

    /// A pattern matched no parameter.
    #[error("adapter configuration: field `{field}`: `{pattern}` matches no {wanted}; the module has {found}")]
    NoMatch {
        /// The field that holds the pattern.
        field: String,
        /// The pattern.
        pattern: String,
        /// What it was matched against.
        wanted: &'static str,
        /// A sample of what there is.
        found: String,
    },

    /// Two patterns give the same parameter different values.
    #[error(
        "adapter configuration: field `{field}`: parameter `{path}` is given different values by `{first}` and `{second}`"
    )]
    Ambiguous {
        /// The field that holds the patterns.
        field: String,
        /// The parameter.
        path: String,
        /// One pattern.
        first: String,
        /// The other pattern.
        second: String,
    },

    /// A parameter cannot take the adapter that was asked for.
    #[error("parameter `{path}` of shape {shape:?}: {reason}")]
    Parameter {
        /// Path of the parameter in the module.
        path: String,
        /// Its shape in Burn's layout.
        shape: Vec<usize>,
        /// Why not.
        reason: String,
    },

    /// The decomposition of a weight failed.
    #[error("parameter `{path}`: singular value decomposition: {source}")]
    Decomposition {
        /// Path of the parameter in the module.
        path: String,
        /// The reason given by `salt-linalg`.
        source: salt_linalg::SvdError,
    },

    /// A rank rule could not be applied to a weight.
    #[error("parameter `{path}`: rank rule: {source}")]
    RankRule {
        /// Path of the parameter in the module.
        path: String,
        /// The reason given by `salt-linalg`.
        source: salt_linalg::RankError,
    },

    /// The folder of the basis cache cannot be used.
    #[error(transparent)]
    Cache(#[from] salt_linalg::CacheError),

    /// No adapter of that name is attached.
    #[error("no adapter named `{name}` is attached; attached: {attached:?}")]
    UnknownAdapter {
        /// The name that was asked for.
        name: String,
        /// The names that exist.
        attached: Vec<String>,
    },

    /// An adapter of that name is attached already.
    #[error("an adapter named `{name}` is attached already")]
    DuplicateAdapter {
        /// The name.
        name: String,
    },

    /// The module carries something that this crate did not attach, or carries it damaged.
    #[error("parameter `{path}`: {reason}")]
    Foreign {
        /// Path of the parameter in the module.
        path: String,
        /// What was found.
        reason: String,
    },

    /// The adapter was made for other base weights.
    #[error("{file}: the adapter was made for another base model: {reason}", file = file.display())]
    WrongBase {
        /// The adapter file.
        file: PathBuf,
        /// The first difference: parameter, expected and found fingerprint.
        reason: String,
    },

    /// The keys of an adapter file do not fit the module.
    #[error(
        "{file}: the adapter does not fit the module: missing from the file {missing:?}, not expected {unexpected:?}, of another shape {mismatched:?}",
        file = file.display()
    )]
    Keys {
        /// The adapter file.
        file: PathBuf,
        /// Keys that the module needs and the file lacks.
        missing: Vec<String>,
        /// Keys of the file that nothing in the module takes.
        unexpected: Vec<String>,
        /// Keys whose shape differs: key, expected and found shape.
        mismatched: Vec<String>,
    },

    /// An adapter file has a content that this crate does not understand.
    #[error("{file}: {reason}", file = file.display())]
    Format {
        /// The file.
        file: PathBuf,
        /// What was expected and what was found.
        reason: String,
    },

    /// A file could not be read or written.
    #[error("{file}: {source}", file = file.display())]
    Io {
        /// The file.
        file: PathBuf,
        /// The operating system's reason.
        source: std::io::Error,
    },

    /// The backend failed to hand out the values of a tensor.
    #[error("parameter `{path}`: its values could not be read: {reason}")]
    Values {
        /// Path of the parameter.
        path: String,
        /// The backend's message.
        reason: String,
    },
}

impl PeftError {
    pub(crate) fn config(field: impl Into<String>, reason: impl Into<String>) -> Self {
        Self::Config { field: field.into(), reason: reason.into() }
    }

    pub(crate) fn parameter(path: &str, shape: &[usize], reason: impl Into<String>) -> Self {
        Self::Parameter { path: path.to_owned(), shape: shape.to_vec(), reason: reason.into() }
    }

    pub(crate) fn foreign(path: &str, reason: impl Into<String>) -> Self {
        Self::Foreign { path: path.to_owned(), reason: reason.into() }
    }

    pub(crate) fn io(file: &std::path::Path) -> impl FnOnce(std::io::Error) -> Self + '_ {
        move |source| Self::Io { file: file.to_owned(), source }
    }

    pub(crate) fn format(file: &std::path::Path, reason: impl Into<String>) -> Self {
        Self::Format { file: file.to_owned(), reason: reason.into() }
    }
}
