//! The decompositions by name, as batches and cache entries have them.

use serde::{Deserialize, Serialize};

use crate::randomized::RandomizedOptions;

/// Which decomposition to compute.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Method {
    /// [`thin_svd`](crate::thin_svd).
    Thin,
    /// [`truncated_svd`](crate::truncated_svd).
    Truncated {
        /// Number of components.
        rank: usize,
    },
    /// [`randomized_svd`](crate::randomized_svd).
    Randomized(RandomizedOptions),
}
