//! The algorithms by name, as results, files and messages have them.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The algorithm behind a result.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Algorithm {
    /// Eigendecomposition of the Gram matrix in double precision (single-precision input only).
    GramEigen,
    /// Bidiagonalisation with divide and conquer in double precision, from faer.
    Bidiagonal,
    /// The same without a QR decomposition first: slower for tall matrices, and more accurate for graded and rank-deficient ones.
    BidiagonalDirect,
    /// One-sided Jacobi rotations in double precision.
    Jacobi,
    /// Written down directly: the matrix is zero.
    Zero,
    /// Randomised subspace iteration.
    RandomizedPower,
    /// Randomised block Krylov iteration.
    RandomizedKrylov,
}

impl Algorithm {
    /// Whether the factors come from an algorithm that uses random numbers.
    pub fn is_randomized(self) -> bool {
        matches!(self, Self::RandomizedPower | Self::RandomizedKrylov)
    }

    /// The name used in files and messages.
    pub fn name(self) -> &'static str {
        match self {
            Self::GramEigen => "gram-eigen",
            Self::Bidiagonal => "bidiagonal",
            Self::BidiagonalDirect => "bidiagonal-direct",
            Self::Jacobi => "jacobi",
            Self::Zero => "zero",
            Self::RandomizedPower => "randomized-power",
            Self::RandomizedKrylov => "randomized-krylov",
        }
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
