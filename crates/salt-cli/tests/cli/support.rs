//! Places that tests of several commands need.

use std::path::{Path, PathBuf};

/// A folder in which this process can make nothing. Permissions do not bind root; for root a folder of the kernel's does it.
pub(crate) fn unwritable(folder: &Path) -> PathBuf {
    use std::os::unix::fs::PermissionsExt;
    let place = folder.join("read-only");
    std::fs::create_dir(&place).unwrap();
    std::fs::set_permissions(&place, std::fs::Permissions::from_mode(0o555)).unwrap();
    if std::fs::File::create(place.join("probe")).is_err() { place } else { PathBuf::from("/sys/kernel") }
}
