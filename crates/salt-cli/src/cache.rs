//! Where decompositions are kept between runs.

use std::path::{Path, PathBuf};

/// The folder that the user named (`--cache`, `SALT_CACHE_DIR`), or one in the user's own cache folder; none where the system knows
/// of no such folder. What is in it can be removed at any time: it is computed again.
pub(crate) fn cache_folder(named: Option<&Path>) -> Option<PathBuf> {
    match named {
        Some(folder) => Some(folder.to_path_buf()),
        None => dirs::cache_dir().map(|folder| folder.join("salt").join("decompositions")),
    }
}
