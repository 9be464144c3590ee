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
        self.commit_by(|from, to| std::fs::rename(from, to))
    }

    fn commit_by(self, by: impl FnOnce(&Path, &Path) -> io::Result<()>) -> io::Result<()> {
        self.scratch.as_file().sync_all()?;
        let path = self.scratch.into_temp_path();
        rename_by(&path, &self.target, by)?;
        // Its name is the target's now: there is nothing left to remove.
        let _ = path.keep();
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

/// Renames a file or folder as [`std::fs::rename`] does, and is not deceived by a network file system.
///
/// Where the answer of a server to a rename is lost, the client asks again, the server finds nothing under the old name, and the program
/// is told of a failure that was none. So an error counts only if what was to be renamed is not under its new name.
///
/// # Errors
/// The rename failed; both names are what they were.
pub fn rename(from: &Path, to: &Path) -> io::Result<()> {
    rename_by(from, to, |from, to| std::fs::rename(from, to))
}

fn rename_by(from: &Path, to: &Path, by: impl FnOnce(&Path, &Path) -> io::Result<()>) -> io::Result<()> {
    let before = identity(from);
    by(from, to).or_else(|error| match before.is_some() && identity(to) == before && identity(from).is_none() {
        true => Ok(()),
        false => Err(error),
    })
}

/// What makes a file the same under another name: its disk and its number there.
#[cfg(unix)]
fn identity(path: &Path) -> Option<(u64, u64)> {
    use std::os::unix::fs::MetadataExt;
    std::fs::symlink_metadata(path).ok().map(|file| (file.dev(), file.ino()))
}

#[cfg(not(unix))]
fn identity(_: &Path) -> Option<(u64, u64)> {
    None
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

#[cfg(test)]
mod tests {
    use super::*;

    /// A server that is gone.
    fn stale() -> io::Error {
        io::Error::other("stale file handle")
    }

    fn names(folder: &Path) -> Vec<String> {
        let mut names: Vec<String> =
            std::fs::read_dir(folder).unwrap().map(|e| e.unwrap().file_name().to_string_lossy().into_owned()).collect();
        names.sort();
        names
    }

    fn begun(target: &Path) -> AtomicFile {
        let mut file = AtomicFile::create(target).unwrap();
        file.write_all(b"new").unwrap();
        file
    }

    #[test]
    fn a_rename_that_fails_leaves_the_target_as_it_was_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("x");
        assert!(begun(&target).commit_by(|_, _| Err(stale())).is_err());
        assert!(names(folder.path()).is_empty());
        write(&target, b"old").unwrap();
        let error = begun(&target).commit_by(|_, _| Err(stale())).unwrap_err();
        assert_eq!(error.to_string(), "stale file handle");
        assert_eq!((std::fs::read(&target).unwrap(), names(folder.path())), (b"old".to_vec(), vec!["x".to_owned()]));
    }

    /// The server renamed, its answer was lost, and the second request found nothing to rename.
    #[cfg(unix)]
    #[test]
    fn a_rename_whose_answer_was_lost_is_one() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("x");
        write(&target, b"old").unwrap();
        let lost = |from: &Path, to: &Path| {
            std::fs::rename(from, to)?;
            std::fs::rename(from, to)
        };
        begun(&target).commit_by(lost).unwrap();
        assert_eq!((std::fs::read(&target).unwrap(), names(folder.path())), (b"new".to_vec(), vec!["x".to_owned()]));
        let (from, to) = (folder.path().join("from"), folder.path().join("to"));
        std::fs::create_dir(&from).unwrap();
        rename_by(&from, &to, lost).unwrap();
        assert_eq!(names(folder.path()), ["to", "x"]);
        // Another's file under the new name is no success.
        let error = rename_by(&from, &to, |_, _| Err(stale())).unwrap_err();
        assert_eq!(error.to_string(), "stale file handle");
    }
}

/// The example of the readme is a test.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
