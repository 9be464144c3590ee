//! Factors on disk, found again by the content of the matrix.

mod entry;
mod hash;

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use nalgebra::DMatrix;
use sha2::{Digest, Sha256};

pub use hash::{ContentHash, content_hash};

use crate::batch::Method;
use crate::real::Real;
use crate::svd::Svd;

/// Version of the algorithms. It rises whenever the bits of a result may change, and old cache entries are then no longer found.
pub const ALGORITHM_VERSION: u32 = 2;

/// A folder with one safetensors file per decomposition.
///
/// * Entries are keyed by the SHA-256 hash of the matrix, its shape and number type, the method, and [`ALGORITHM_VERSION`].
/// * Files appear atomically (written beside their place, then renamed), so that any number of processes can share the folder: two that
///   compute the same entry write the same bytes.
/// * Every entry carries a SHA-256 checksum of its factors. A truncated, altered or foreign file is reported with a `tracing` warning,
///   and the factors are computed and written again.
///
/// Files are not flushed to the disk one by one: after a power failure the checksum finds the damage.
#[derive(Debug, Clone)]
pub struct BasisCache {
    folder: PathBuf,
}

/// What identifies an entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CacheKey {
    content: ContentHash,
    method: Method,
    rows: usize,
    cols: usize,
    number_type: &'static str,
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

impl CacheKey {
    /// The key of a matrix and a method. Reads the whole matrix, at about 1 GB/s per thread or better.
    pub fn new<T: Real>(matrix: &DMatrix<T>, method: &Method) -> Self {
        let (rows, cols) = matrix.shape();
        Self { content: content_hash(matrix), method: *method, rows, cols, number_type: T::NAME }
    }

    /// The hash of the matrix.
    pub fn content(&self) -> ContentHash {
        self.content
    }

    /// The name of the entry's file.
    fn file_name(&self) -> String {
        let mut hasher = Sha256::new();
        hasher.update(ALGORITHM_VERSION.to_le_bytes());
        hasher.update(self.content.as_bytes());
        hasher.update(format!("{:?}", self.method));
        let digest: [u8; 32] = hasher.finalize().into();
        format!("{}.safetensors", ContentHash::from_bytes(digest))
    }
}

impl BasisCache {
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
        let write = || -> io::Result<()> {
            let bytes = entry::encode(svd, key)?;
            let mut file = tempfile::Builder::new().prefix(".partial-").tempfile_in(&self.folder)?;
            file.write_all(&bytes)?;
            file.persist(&path)?;
            Ok(())
        };
        write().map_err(|source| CacheError { action: "write", path: path.clone(), source })
    }
}
