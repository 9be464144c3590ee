//! The crate's error: every message names the file or field, what was expected and what was found.

use crate::check::Report;
use crate::dataset::ImageFolder;
use crate::decode::ValueShares;
use std::path::{Path, PathBuf};

/// What can go wrong between a folder of images and a batch of tensors.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DataError {
    /// The operating system refused a file operation.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// The bytes are no image that can be decoded.
    #[error("{}: not readable as an image: {reason}", path.display())]
    Decode {
        /// The file.
        path: PathBuf,
        /// The decoder's reason.
        reason: String,
    },
    /// A file asks for more than [`Limits`](crate::decode::Limits) allow.
    #[error("{}: {what} is {found}, the limit is {limit}{}", path.display(), allowed_by(*option))]
    Limit {
        /// The file.
        path: PathBuf,
        /// The quantity, with its unit.
        what: &'static str,
        /// What the file asks for.
        found: u64,
        /// What is allowed.
        limit: u64,
        /// The option of the command line that sets another limit, where there is one.
        option: Option<&'static str>,
    },
    /// A mask has no pixel of foreground: every value is background or ignored.
    #[error("{}: the mask is empty: it holds nothing but background", path.display())]
    EmptyMask {
        /// The mask file.
        path: PathBuf,
    },
    /// A mask holds more than background and one foreground: it is a label map, or grey.
    #[error(
        "{}: expected a mask of two values, 0 and one other, found {values}; choose what is foreground and what is not counted \
         (--foreground 1,2 --ignore 255, or foreground = [1, 2] and ignore = [255] under [data.options]), or cut a grey mask \
         (--threshold, or threshold there)",
        path.display()
    )]
    MultiClassMask {
        /// The mask file.
        path: PathBuf,
        /// The values or colours that were found.
        values: ValueShares,
    },
    /// What is foreground in a mask cannot be told.
    #[error("{}: not clear as a mask: {reason}", path.display())]
    UnclearMask {
        /// The mask file.
        path: PathBuf,
        /// What was expected and what was found.
        reason: String,
    },
    /// An image and its mask, or an image and its description, differ in size.
    #[error("{}: expected {}x{} pixels as {}, found {}x{}", path.display(), expected.0, expected.1, reference.display(), found.0, found.1)]
    SizeMismatch {
        /// The file with the unexpected size.
        path: PathBuf,
        /// The file that sets the expectation.
        reference: PathBuf,
        /// Expected width and height in pixels.
        expected: (usize, usize),
        /// Width and height found, in pixels.
        found: (usize, usize),
    },
    /// A COCO annotation file breaks its own format.
    #[error("{}: {reason}", path.display())]
    Annotation {
        /// The json file.
        path: PathBuf,
        /// The field or annotation, what was expected and what was found.
        reason: String,
    },
    /// Annotations of one image cannot be read, so that its mask would be incomplete.
    #[error("{}: image {image}: {}", path.display(), reasons.join("; "))]
    BadAnnotations {
        /// The json file.
        path: PathBuf,
        /// The image's id and file name.
        image: String,
        /// Each bad annotation: its id, what was expected and what was found.
        reasons: Vec<String>,
    },
    /// No known layout fits the folder.
    #[error("{}: no known data set layout; looked for {}{}", path.display(), looked_for.join("; "), suggestion(folders, hint.as_deref()))]
    Unrecognised {
        /// The folder.
        path: PathBuf,
        /// What every layout would have looked like.
        looked_for: Vec<String>,
        /// The folders with image files, relative to `path`.
        folders: Vec<ImageFolder>,
        /// What would make the folder a data set.
        hint: Option<String>,
    },
    /// The folder holds several data sets, of which one is to be chosen.
    #[error("{}: several data sets are here; name one of them: {}", path.display(), found.join("; "))]
    Several {
        /// The folder.
        path: PathBuf,
        /// Each data set's layout and folder.
        found: Vec<String>,
    },
    /// A split or fold table is malformed, or does not fit the data set.
    #[error("{}: {reason}", path.display())]
    Split {
        /// The table, or the data set when the split was made in memory.
        path: PathBuf,
        /// The row or id, what was expected and what was found.
        reason: String,
    },
    /// A configuration value is out of range or unknown.
    #[error("{field}: expected {expected}, found {found}")]
    Config {
        /// The configuration field.
        field: &'static str,
        /// The accepted values.
        expected: String,
        /// The value given.
        found: String,
    },
    /// A manifest, or another text file of ours, does not parse.
    #[error("{}: {reason}", path.display())]
    Parse {
        /// The file.
        path: PathBuf,
        /// The parser's reason, with the line.
        reason: String,
    },
    /// A mask of this size cannot be held.
    #[error(transparent)]
    MaskSize(#[from] medseg_metrics::MetricsError),
    /// Everything that is wrong with a data set, in one report.
    #[error("{0}")]
    Problems(Report),
}

fn allowed_by(option: Option<&str>) -> String {
    option.map_or_else(String::new, |option| format!("; {option} of `predict` and `data verify` sets another"))
}

/// Most folders that a message lists.
const LISTED: usize = 20;

fn suggestion(folders: &[ImageFolder], hint: Option<&str>) -> String {
    let mut text = String::new();
    if !folders.is_empty() {
        let listed: Vec<String> = folders.iter().take(LISTED).map(ToString::to_string).collect();
        let more = if folders.len() > LISTED { ", ..." } else { "" };
        text = format!(". Image files are in {}{more}", listed.join(", "));
    }
    if let Some(hint) = hint {
        text.push_str(&format!(". {hint}"));
    }
    text
}

impl DataError {
    /// An [`Io`](DataError::Io) error on `path`; for `map_err`.
    pub(crate) fn io(path: &Path) -> impl FnOnce(std::io::Error) -> DataError + '_ {
        move |source| DataError::Io { path: path.to_owned(), source }
    }

    /// A [`Config`](DataError::Config) error.
    pub(crate) fn config(field: &'static str, expected: impl Into<String>, found: impl ToString) -> DataError {
        DataError::Config { field, expected: expected.into(), found: found.to_string() }
    }
}

/// The crate's result.
pub type Result<T, E = DataError> = std::result::Result<T, E>;
