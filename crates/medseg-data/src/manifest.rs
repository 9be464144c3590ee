//! Manifests: one toml file a data set that says where a user gets it, under which licence, how it is laid out and split.

use crate::dataset::Layout;
use crate::decode::read_limited;
use crate::error::{DataError, Result};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// A manifest. Unknown keys are errors.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// Short name, also the file's stem.
    pub name: String,
    /// Full title.
    pub title: String,
    /// The layout that the loader recognises.
    pub layout: Layout,
    /// What is shown.
    pub modality: String,
    /// Where it is published.
    pub published_at: String,
    /// How a user gets it (open download, request form, log-in).
    pub access: String,
    /// Licence or terms, as far as the publisher states them.
    pub licence: String,
    /// What to cite.
    pub citation: String,
    /// Images and their size.
    pub images: Images,
    /// Files to download.
    #[serde(default)]
    pub archives: Vec<Archive>,
    /// The publisher's split, in words.
    pub official_split: String,
    /// The split of the paper's sizes, for its five sets.
    pub paper_split: Option<PaperSplit>,
    /// What a user should know.
    #[serde(default)]
    pub notes: Vec<String>,
}

/// Images of a data set.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Images {
    /// How many with masks.
    pub count: usize,
    /// Width in pixels.
    pub width: usize,
    /// Height in pixels.
    pub height: usize,
}

/// A file to download.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Archive {
    /// File name.
    pub file: String,
    /// SHA-256, lower-case hexadecimal, where known.
    pub sha256: Option<String>,
    /// MD5, where the publisher gives that instead.
    pub md5: Option<String>,
    /// Size in bytes, where known.
    pub bytes: Option<u64>,
}

/// A split of the paper's sizes, drawn by [`seeded_split`](crate::split::seeded_split).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PaperSplit {
    /// The part of the data set that is divided anew.
    pub part: String,
    /// Training samples.
    pub train: usize,
    /// Held-out samples.
    pub test: usize,
    /// Seed.
    pub seed: u64,
    /// The table, relative to the manifest's folder; `None` where the ids are not known without the data.
    pub table: Option<PathBuf>,
    /// SHA-256 of the table.
    pub sha256: Option<String>,
}

impl Manifest {
    /// Reads a manifest.
    ///
    /// # Errors
    /// [`DataError::Io`]; [`DataError::Parse`] for wrong toml, an unknown or missing key, or a name that is not the file's.
    pub fn read(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let fail = |reason: String| DataError::Parse { path: path.to_owned(), reason };
        let bytes = read_limited(path, 1 << 20)?;
        let text = std::str::from_utf8(&bytes).map_err(|e| fail(format!("not UTF-8: {e}")))?;
        let manifest: Self = toml::from_str(text).map_err(|e| fail(e.to_string()))?;
        if path.file_stem().and_then(|s| s.to_str()) != Some(manifest.name.as_str()) {
            return Err(fail(format!("expected the name to be the file's, found {:?}", manifest.name)));
        }
        Ok(manifest)
    }
}
