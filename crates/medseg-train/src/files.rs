//! Files that are whole or absent, and their checksums.

use crate::error::{Result, TrainError};
use sha2::{Digest, Sha256};
use std::io::{ErrorKind, Read};
use std::path::Path;

/// SHA-256 in hexadecimal.
pub fn sha256(content: &[u8]) -> String {
    hex::encode(Sha256::digest(content))
}

/// Length and SHA-256 in hexadecimal of a file, which is read piece by piece.
///
/// # Errors
/// The file cannot be read.
pub fn sha256_of(path: &Path) -> Result<(u64, String)> {
    let mut file = std::fs::File::open(path).map_err(TrainError::io("cannot read", path))?;
    let (mut hash, mut bytes, mut piece) = (Sha256::new(), 0, vec![0; 1 << 20]);
    loop {
        let count = file.read(&mut piece).map_err(TrainError::io("cannot read", path))?;
        if count == 0 {
            return Ok((bytes, hex::encode(hash.finalize())));
        }
        hash.update(&piece[..count]);
        bytes += count as u64;
    }
}

/// Writes a file whole or not at all (see [`atomic_file`]).
///
/// # Errors
/// The folder cannot be written; the message names the file.
pub fn write(path: &Path, content: &[u8]) -> Result<()> {
    atomic_file::write(path, content).map_err(TrainError::io("cannot write", path))
}

/// Fills a new folder under a temporary name and gives it its name when it is whole. Whatever lies at `folder` already is
/// kept, and then nothing is written; an empty folder may be there.
///
/// # Errors
/// The folder holds something, or cannot be written; whatever `fill` fails with.
pub fn new_folder<E: From<TrainError>>(
    folder: &Path,
    fill: impl FnOnce(&Path) -> std::result::Result<(), E>,
) -> std::result::Result<(), E> {
    let occupied = std::fs::read_dir(folder).is_ok_and(|mut entries| entries.next().is_some()) || folder.is_file();
    if occupied {
        return Err(TrainError::Occupied { path: folder.to_path_buf() }.into());
    }
    let absolute = std::path::absolute(folder).map_err(TrainError::io("cannot resolve", folder))?;
    let parent = absolute.parent().unwrap_or(&absolute);
    std::fs::create_dir_all(parent).map_err(TrainError::io("cannot create", parent))?;
    let scratch = tempfile::Builder::new()
        .prefix(".partial-")
        .tempdir_in(parent)
        .map_err(TrainError::io("cannot create a folder in", parent))?;
    fill(scratch.path())?;
    open_to_all(scratch.path())?;
    // Another process may have made the folder meanwhile; its content stays, and the scratch folder goes.
    let failed = |action| {
        move |source: std::io::Error| match source.kind() {
            ErrorKind::DirectoryNotEmpty => TrainError::Occupied { path: folder.to_path_buf() },
            _ => TrainError::Io { action, path: folder.to_path_buf(), source },
        }
    };
    if absolute.is_dir() {
        std::fs::remove_dir(&absolute).map_err(failed("cannot replace the empty folder"))?;
    }
    atomic_file::rename(scratch.path(), &absolute).map_err(failed("cannot rename into"))?;
    // It has another name now: there is nothing to remove.
    let _ = scratch.keep();
    atomic_file::sync_folder(parent);
    Ok(())
}

/// A temporary folder is its owner's alone; it gets the mode that a plain new folder has.
fn open_to_all(folder: &Path) -> Result<()> {
    let probe = folder.join("probe");
    let fail = || TrainError::io("cannot set the permissions of", folder);
    std::fs::create_dir(&probe).map_err(fail())?;
    let permissions = std::fs::metadata(&probe).map_err(fail())?.permissions();
    std::fs::remove_dir(&probe).map_err(fail())?;
    std::fs::set_permissions(folder, permissions).map_err(fail())
}
