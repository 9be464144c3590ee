//! The linear algebra of fine-tuning in the singular basis of a weight.
//!
//! Methods such as SALT, SVD tuning and PiSSA write a frozen weight as W = U diag(s) Vᵀ and train something small in the basis of U and V.
//! What they train means nothing without that basis. So the decomposition has to be fast enough for all weights of a vision
//! transformer, and it has to be *the same* tomorrow, on another machine, with another number of threads. That is what this crate is for.
//! It needs nothing but [`nalgebra`] matrices, of `f32` or `f64`.
//!
//! ```
//! use nalgebra::DMatrix;
//! use salt_linalg::{RandomizedOptions, RankRule, randomized_svd, thin_svd};
//!
//! // A 40 x 30 weight of rank 6 with a little noise.
//! let signal = DMatrix::from_fn(40, 6, |i, j| ((i * (j + 2)) as f32).sin()) * DMatrix::from_fn(6, 30, |i, j| ((i + 1) as f32 * j as f32).cos());
//! let weight = signal + DMatrix::from_fn(40, 30, |i, j| 0.01 * ((i * 31 + j * 17) as f32).sin());
//!
//! let svd = thin_svd(&weight)?;
//! assert!(svd.error.relative_frobenius() < 1e-5);
//!
//! // How many components matter, and how firm is the cut behind them?
//! let rank = RankRule::Energy { share: 0.999 }.select(svd.singular_values.as_slice(), 40, 30)?;
//! assert!(rank <= 6);
//! let cut = svd.cut_quality(6)?;
//! assert!(cut.relative_gap > 0.5);
//! // A change of the weight by 1e-4 (spectral norm) turns the kept subspaces by less than this sine.
//! assert!(cut.wedin_bound(1e-4) < 0.01);
//!
//! // The leading components alone, faster for large weights, with a bound on what was missed.
//! let leading = randomized_svd(&weight, &RandomizedOptions::new(6))?;
//! assert!((leading.singular_values[0] - svd.singular_values[0]).abs() < 1e-3);
//! println!("‖A − U S Vᵀ‖₂ ≤ {:.3}, probability {}", leading.error.spectral_bound, leading.error.probability);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Which function
//!
//! | You want | Use |
//! |---|---|
//! | all min(m, n) components | [`thin_svd`] |
//! | the best approximation of rank r | [`truncated_svd`] |
//! | nearly that, for a small r | [`randomized_svd`] |
//! | as few components as an error bound allows | [`svd_to_tolerance`] |
//! | many weights, in parallel, with a cache on disk | [`decompose_all`] with a [`BasisCache`] |
//! | a rank from the spectrum | [`RankRule`] |
//! | to know whether a cut at r is stable | [`CutQuality`] |
//! | a fingerprint of a weight | [`content_hash`] |
//!
//! # Guarantees
//!
//! **The bits do not depend on the threads.** A matrix product is cut into blocks by its shape alone, and each block is computed
//! sequentially, so that one thread and sixteen give the same result. Random numbers are keyed by the seed and their purpose. Other CPUs may round
//! differently, since the kernels adapt to the instruction set; [`ALGORITHM_VERSION`] rises when this crate's own arithmetic changes.
//!
//! **Signs follow one rule.** In each column of U the entry of largest magnitude is positive; of several (within 64 rounding units)
//! the first decides. Components with equal singular values can still be rotated among themselves; [`CutQuality`] tells when that matters.
//!
//! **Every result is checked.** The factors are multiplied with 16 Gaussian probes, which yields an unbiased estimate of the Frobenius error
//! and an upper bound on the spectral error that holds with probability 1 − 10⁻⁶ (see [`ErrorEstimate`]). A full decomposition whose residual or
//! whose departure from orthonormality exceeds 8 ε √max(m, n) is not returned.
//!
//! **There is a ladder to fall back on.** For single precision the first step is the eigendecomposition of the Gram matrix AᵀA in double precision; then come
//! faer's bidiagonalisation, the same without its QR shortcut, and one-sided Jacobi rotations. Each may fail to converge, panic, or be
//! rejected by the check; only if all are does the caller see [`SvdError::NoConvergence`], with the reason for each. No input makes this crate panic.
//!
//! # Is a Gram matrix not a sin?
//!
//! Squaring costs half the digits, but single-precision weights have seven and double precision offers sixteen. A singular value s comes out
//! with an error of about 10⁻¹⁶ s₁² / s, which is below the rounding of the input as long as s > 10⁻⁸ s₁; vectors are
//! re-orthonormalised for s < 10⁻⁴ s₁; and matrices with s_min < 10⁻⁷ s₁, rank-deficient ones among them, take the next step of the ladder. The result, rounded once at the end,
//! has a relative residual near 10⁻⁷, where decompositions carried out in single precision leave 2 to 5 × 10⁻⁶. It is also the fastest way for the
//! shapes of a vision transformer. Double-precision input never goes this way.
//!
//! # Sources
//!
//! * Halko, Martinsson, Tropp, *Finding structure with randomness*, SIAM Review 53 (2011): sketches, subspace iteration, and the estimator
//!   behind [`ErrorEstimate`], here with a sharper constant that is derived there.
//! * Musco, Musco, *Randomized block Krylov methods for stronger and faster approximate singular value decomposition*, NeurIPS 2015; Chen, Epperly,
//!   Meyer, Musco, Rao, arXiv 2508.06486 (2025): [`Iteration::BlockKrylov`], and blocks narrower than the rank.
//! * Wedin, *Perturbation bounds in connection with singular value decomposition*, BIT 12 (1972): [`CutQuality::wedin_bound`].
//! * Gavish, Donoho, *The optimal hard threshold for singular values is 4/√3*, IEEE Trans. Inf. Theory 60 (2014); Roy, Vetterli, *The effective rank*,
//!   EUSIPCO 2007; Rudelson, Vershynin, *Sampling from large matrices*, J. ACM 54 (2007): [`RankRule`].
//! * Demmel, Veselić, *Jacobi's method is more accurate than QR*, SIAM J. Matrix Anal. Appl. 13 (1992): the last step of the ladder.

// Comparisons with a limit are negated on purpose where NaN must fall on the refusing side.
#![allow(clippy::neg_cmp_op_on_partial_ord)]

mod algorithm;
mod batch;
mod cache;
mod certificate;
mod cut;
mod error;
mod exact;
mod gaussian;
mod input;
mod method;
mod product;
mod randomized;
mod rank;
mod real;
mod sign;
mod svd;
mod tolerance;

pub use algorithm::Algorithm;
pub use batch::{BatchError, BatchOptions, Progress, Source, decompose_all};
pub use cache::{ALGORITHM_VERSION, BasisCache, CacheError, CacheKey, ContentHash, content_hash};
pub use certificate::ErrorEstimate;
pub use cut::CutQuality;
pub use error::{Attempt, StepFailure, SvdError};
pub use exact::{thin_svd, truncated_svd};
pub use method::Method;
pub use randomized::{Iteration, RandomizedOptions, randomized_svd};
pub use rank::{RankError, RankRule};
pub use real::Real;
pub use svd::Svd;
pub use tolerance::{Tolerance, svd_to_tolerance};

/// The example of the readme is a test.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
