//! Where decompositions are kept between runs.

use salt_peft::BasisCache;
use std::path::{Path, PathBuf};

/// The folder that the user named, or the one that all programs share ([`BasisCache::default_folder`]).
pub(crate) fn cache_folder(named: Option<&Path>) -> Option<PathBuf> {
    named.map(Path::to_path_buf).or_else(BasisCache::default_folder)
}
