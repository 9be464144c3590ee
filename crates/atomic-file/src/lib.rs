//! Write a file whole or not at all.
//!
//! A program that is killed while it writes leaves half a file, and half a file is worse than none. Here the content goes to a
//! temporary file beside the target, is handed to the disk (`fsync`), and is renamed into place; then the folder is
//! handed to the disk too, so that the rename outlives a power cut. A reader sees the old content or the new, never a mixture.
//!
//! Temporary files are usually private to their owner (mode 0600), and a file that is renamed keeps its mode, so results would
//! be unreadable for everybody else. A file written here has the mode that the user's umask gives, or, where it replaces a
//! file, the mode of that file.
//!
//! ```
//! let folder = tempfile::tempdir()?;
//! let path = folder.path().join("results.json");
//! atomic_file::write(&path, b"{}")?;
//! assert_eq!(std::fs::read(&path)?, b"{}");
//!
//! // Content that is produced piece by piece: nothing is seen before `commit`.
//! use std::io::Write;
//! let mut file = atomic_file::AtomicFile::create(&path)?;
//! file.write_all(b"[1, 2")?;
//! assert_eq!(std::fs::read(&path)?, b"{}");
//! file.write_all(b", 3]")?;
//! file.commit()?;
//! assert_eq!(std::fs::read(&path)?, b"[1, 2, 3]");
//! # std::io::Result::Ok(())
//! ```

use std::fs::{File, Permissions};
use std::io::{self, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use tempfile::NamedTempFile;

/// A file under way: seen under its name only once it is [committed](Self::commit). Dropped before, it leaves nothing.
#[derive(Debug)]
pub struct AtomicFile {
    scratch: NamedTempFile,
    target: PathBuf,
}

impl AtomicFile {
    /// Begins a file that will be `target`. Its folder must exist.
    ///
    /// # Errors
    /// The folder cannot be written.
    pub fn create(target: &Path) -> io::Result<Self> {
        let scratch = builder(target).tempfile_in(folder_of(target))?;
        Ok(Self { scratch, target: target.to_path_buf() })
    }

    /// Where the content is until it is committed, for writers that need a path.
    pub fn scratch_path(&self) -> &Path {
        self.scratch.path()
    }

    /// Hands the content to the disk and gives it its name.
    ///
    /// # Errors
    /// The disk is full or the file cannot be renamed; then the target is what it was.
    pub fn commit(self) -> io::Result<()> {
        self.scratch.as_file().sync_all()?;
        self.scratch.persist(&self.target).map_err(|error| error.error)?;
        sync_folder(folder_of(&self.target));
        Ok(())
    }
}

impl Write for AtomicFile {
    fn write(&mut self, content: &[u8]) -> io::Result<usize> {
        self.scratch.write(content)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.scratch.flush()
    }
}

impl Seek for AtomicFile {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.scratch.seek(to)
    }
}

/// Writes `content` to `target`, whole or not at all.
///
/// # Errors
/// The folder cannot be written or the disk is full; then the target is what it was.
pub fn write(target: &Path, content: &[u8]) -> io::Result<()> {
    let mut file = AtomicFile::create(target)?;
    file.write_all(content)?;
    file.commit()
}

/// Makes a rename inside `folder` durable. Not every file system can sync a folder; one that cannot offers nothing better, so
/// this is no error.
pub fn sync_folder(folder: &Path) {
    if let Ok(folder) = File::open(folder) {
        let _ = folder.sync_all();
    }
}

fn folder_of(target: &Path) -> &Path {
    match target.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}

/// A temporary file is hidden, so that one that a kill leaves behind is not taken for data.
fn builder(target: &Path) -> tempfile::Builder<'static, 'static> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(".partial-");
    if let Some(permissions) = permissions(target) {
        builder.permissions(permissions);
    }
    builder
}

/// Those of the file that is there; else all that the umask leaves (the operating system applies it).
#[cfg(unix)]
fn permissions(target: &Path) -> Option<Permissions> {
    use std::os::unix::fs::PermissionsExt;
    let mode = std::fs::metadata(target).map_or(0o666, |there| there.permissions().mode() & 0o777);
    Some(Permissions::from_mode(mode))
}

#[cfg(not(unix))]
fn permissions(_: &Path) -> Option<Permissions> {
    None
}
