//! The content hash of a matrix.

use std::fmt;

use nalgebra::DMatrix;
use sha2::{Digest, Sha256};

use crate::real::Real;
use crate::real::sealed::Kernel;

/// A SHA-256 hash, printed as 64 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ContentHash([u8; 32]);

impl ContentHash {
    /// The 32 bytes.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    pub(crate) fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }
}

impl fmt::Display for ContentHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for ContentHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ContentHash({self})")
    }
}

/// The SHA-256 hash of a matrix: number type, rows, columns, and the entries by columns in little-endian order.
///
/// Two matrices share a hash exactly if they have the same bits; 0 and −0 differ.
pub fn content_hash<T: Real>(matrix: &DMatrix<T>) -> ContentHash {
    let mut hasher = Sha256::new();
    hasher.update(b"salt-linalg matrix ");
    hasher.update(T::NAME);
    for size in [matrix.nrows(), matrix.ncols()] {
        hasher.update((size as u64).to_le_bytes());
    }
    update(&mut hasher, matrix.as_slice());
    ContentHash(hasher.finalize().into())
}

/// Feeds numbers to a hash in little-endian order.
pub(super) fn update<T: Kernel>(hasher: &mut Sha256, values: &[T]) {
    if cfg!(target_endian = "little") {
        return hasher.update(bytemuck::cast_slice::<T, u8>(values));
    }
    for value in values {
        let mut bytes = bytemuck::bytes_of(value).to_vec();
        bytes.reverse();
        hasher.update(bytes);
    }
}
