//! Factors on disk, found again by the content of the matrix.

mod entry;
mod hash;
mod key;

use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

pub use hash::{ContentHash, content_hash};
pub use key::{ALGORITHM_VERSION, CacheKey};

use crate::real::Real;
use crate::svd::Svd;

/// A folder with one safetensors file per decomposition.
///
/// * Entries are keyed by the SHA-256 hash of the matrix, its shape and number type, the method, and [`ALGORITHM_VERSION`].
/// * Files appear whole or not at all, with the permissions that the umask gives, so that any number of processes and users can share
///   the folder: two that compute the same entry write the same bytes.
/// * Every entry carries a SHA-256 checksum of its factors. A truncated, altered or foreign file is reported with a `tracing` warning,
///   and the factors are computed and written again.
///
/// Processors of different kinds round differently. Those that share a folder all work with the factors of whichever came first.
#[derive(Debug, Clone)]
pub struct BasisCache {
    folder: PathBuf,
}

/// A cache folder or file that cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("cannot {action} {}: {source}", path.display())]
#[non_exhaustive]
pub struct CacheError {
    /// What was tried: "create", "read", "write" or "remove".
    pub action: &'static str,
    /// The folder or file.
    pub path: PathBuf,
    /// The system's answer.
    pub source: io::Error,
}

impl BasisCache {
    /// The folder that programs share unless their user names another: the one in the environment variable `SALT_CACHE_DIR`, else
    /// `salt/bases` in the platform's folder for caches (`~/.cache` on Linux). None where `SALT_CACHE_DIR` is empty, which is how a user
    /// does without, or where the platform has no such folder.
    ///
    /// A full decomposition of the 50 weights of SAM ViT-B takes 460 MB. Nothing is ever deleted; the folder may be, at any time.
    pub fn default_folder() -> Option<PathBuf> {
        default_folder(std::env::var_os("SALT_CACHE_DIR"), dirs::cache_dir())
    }

    /// Opens the folder, creating it if needed.
    ///
    /// # Errors
    /// [`CacheError`] if the folder cannot be created.
    pub fn open(folder: impl Into<PathBuf>) -> Result<Self, CacheError> {
        let folder = folder.into();
        fs::create_dir_all(&folder).map_err(|source| CacheError { action: "create", path: folder.clone(), source })?;
        Ok(Self { folder })
    }

    /// The folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Where the entry of a key is, or would be.
    pub fn path(&self, key: &CacheKey) -> PathBuf {
        self.folder.join(key.file_name())
    }

    /// The factors of a key, or `None` if there is no usable entry. A corrupt entry is reported with a warning and counts as absent.
    ///
    /// # Errors
    /// [`CacheError`] if the file is there and cannot be read.
    pub fn load<T: Real>(&self, key: &CacheKey) -> Result<Option<Svd<T>>, CacheError> {
        let path = self.path(key);
        let bytes = match fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(CacheError { action: "read", path, source }),
        };
        match entry::decode(&bytes, key) {
            Ok(svd) => Ok(Some(svd)),
            Err(reason) => {
                tracing::warn!(path = %path.display(), %reason, "corrupt entry in the basis cache; it will be rebuilt");
                Ok(None)
            }
        }
    }

    /// Writes the factors of a key, replacing what is there.
    ///
    /// # Errors
    /// [`CacheError`] if the file cannot be written.
    pub fn store<T: Real>(&self, key: &CacheKey, svd: &Svd<T>) -> Result<(), CacheError> {
        let path = self.path(key);
        let write = || -> io::Result<()> { atomic_file::write(&path, &entry::encode(svd, key)?) };
        write().map_err(|source| CacheError { action: "write", path: path.clone(), source })
    }
}

fn default_folder(named: Option<OsString>, platform: Option<PathBuf>) -> Option<PathBuf> {
    match named {
        Some(named) => (!named.is_empty()).then(|| PathBuf::from(named)),
        None => Some(platform?.join("salt").join("bases")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_environment_goes_before_the_platform_and_empty_means_none() {
        let platform = || Some(PathBuf::from("/home/me/.cache"));
        assert_eq!(default_folder(Some("/data/bases".into()), platform()), Some("/data/bases".into()));
        assert_eq!(default_folder(None, platform()), Some("/home/me/.cache/salt/bases".into()));
        assert_eq!(default_folder(Some("".into()), platform()), None);
        assert_eq!(default_folder(None, None), None);
    }
}
