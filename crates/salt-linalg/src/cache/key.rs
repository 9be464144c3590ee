//! What identifies an entry of the cache.

use nalgebra::DMatrix;
use sha2::{Digest, Sha256};

use super::hash::{ContentHash, content_hash};
use crate::method::Method;
use crate::real::Real;

/// Version of the algorithms. It rises whenever the bits of a result may change, and old cache entries are then no longer found.
pub const ALGORITHM_VERSION: u32 = 2;

/// What identifies an entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CacheKey {
    pub(super) content: ContentHash,
    pub(super) method: Method,
    pub(super) rows: usize,
    pub(super) cols: usize,
    pub(super) number_type: &'static str,
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
    pub(super) fn file_name(&self) -> String {
        let mut hasher = Sha256::new();
        hasher.update(ALGORITHM_VERSION.to_le_bytes());
        hasher.update(self.content.as_bytes());
        hasher.update(format!("{:?}", self.method));
        let digest: [u8; 32] = hasher.finalize().into();
        format!("{}.safetensors", ContentHash::from_bytes(digest))
    }
}
