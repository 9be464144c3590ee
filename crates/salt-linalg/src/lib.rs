//! Truncated and randomised singular value decompositions with error certificates, rank selection and a basis cache.

mod batch;
mod cache;
mod certificate;
mod cut;
mod error;
mod exact;
mod gaussian;
mod input;
mod product;
mod randomized;
mod rank;
mod real;
mod sign;
mod svd;
mod tolerance;

pub use batch::{BatchError, BatchOptions, Method, Progress, Source, decompose_all};
pub use cache::{ALGORITHM_VERSION, BasisCache, CacheError, CacheKey, ContentHash, content_hash};
pub use certificate::ErrorEstimate;
pub use cut::CutQuality;
pub use error::{Attempt, StepFailure, SvdError};
pub use exact::{thin_svd, truncated_svd};
pub use randomized::{Iteration, RandomizedOptions, randomized_svd};
pub use rank::{RankError, RankRule};
pub use real::Real;
pub use svd::{Algorithm, Svd};
pub use tolerance::{Tolerance, svd_to_tolerance};
