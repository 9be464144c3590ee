//! Files for readers that take a path.

use std::path::{Path, PathBuf};
use tempfile::TempDir;

thread_local! {
    static FOLDER: TempDir = tempfile::Builder::new().prefix("broken-files-").tempdir_in(place()).expect("a temporary folder");
}

/// A folder in memory where the system has one: a fuzzer writes thousands of files a second.
fn place() -> PathBuf {
    let memory = PathBuf::from("/dev/shm");
    if memory.is_dir() { memory } else { std::env::temp_dir() }
}

/// Calls `read` with a folder that holds these files and no others.
pub(crate) fn with_files<R>(files: &[(&str, &[u8])], read: impl FnOnce(&Path) -> R) -> R {
    FOLDER.with(|folder| {
        let folder = folder.path();
        for entry in std::fs::read_dir(folder).expect("the temporary folder").flatten() {
            std::fs::remove_file(entry.path()).expect("a file of ours");
        }
        for (name, content) in files {
            std::fs::write(folder.join(name), content).expect("a file in the temporary folder");
        }
        read(folder)
    })
}
