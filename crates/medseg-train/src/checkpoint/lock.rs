//! One process per run directory.

use crate::error::{Result, TrainError};
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

/// Held while a process works in a run directory; the operating system releases it even when the process is killed.
#[derive(Debug)]
pub struct RunLock {
    file: File,
    path: PathBuf,
}

impl RunLock {
    /// Takes the lock of `directory`, making the directory where it is missing.
    ///
    /// # Errors
    /// Another process holds it, or the directory cannot be written.
    pub fn acquire(directory: &Path) -> Result<Self> {
        std::fs::create_dir_all(directory).map_err(TrainError::io("cannot create", directory))?;
        let path = directory.join("run.lock");
        let mut file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .read(true)
            .write(true)
            .open(&path)
            .map_err(TrainError::io("cannot open", &path))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut owner = String::new();
                // The owner is only a hint; an unreadable one is left out.
                let _ = file.read_to_string(&mut owner);
                let owner = owner.trim();
                let owner = if owner.is_empty() { String::new() } else { format!(" (process {owner})") };
                return Err(TrainError::Busy { path: directory.to_path_buf(), owner });
            }
            Err(TryLockError::Error(source)) => {
                return Err(TrainError::Io { action: "cannot lock", path, source });
            }
        }
        file.set_len(0)
            .and_then(|()| writeln!(file, "{}", std::process::id()))
            .map_err(TrainError::io("cannot write", &path))?;
        Ok(Self { file, path })
    }
}

impl Drop for RunLock {
    fn drop(&mut self) {
        if let Err(error) = self.file.unlock() {
            tracing::warn!("{}: cannot unlock: {error}", self.path.display());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_run_in_one_directory_is_refused_until_the_first_ends() {
        let folder = tempfile::tempdir().unwrap();
        let held = RunLock::acquire(folder.path()).unwrap();
        let message = RunLock::acquire(folder.path()).unwrap_err().to_string();
        assert!(message.contains(&format!("process {}", std::process::id())), "{message}");
        drop(held);
        RunLock::acquire(folder.path()).unwrap();
    }
}
