//! Where decompositions are kept between runs.

use salt_peft::BasisCache;
use std::path::{Path, PathBuf};

/// The folder that the user named, or the one that all programs share ([`BasisCache::default_folder`]), if it can be made: a
/// machine on which it cannot is no reason to fail.
pub(crate) fn cache_folder(named: Option<&Path>) -> Option<PathBuf> {
    let shared = || BasisCache::default_folder().filter(|folder| BasisCache::open(folder).is_ok());
    named.map(Path::to_path_buf).or_else(shared)
}
