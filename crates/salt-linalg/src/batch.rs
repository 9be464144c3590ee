//! Many matrices at once.

use std::borrow::Borrow;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use nalgebra::DMatrix;
use rayon::prelude::*;

use crate::cache::{BasisCache, CacheKey};
use crate::error::SvdError;
use crate::exact::{thin_with, truncated_with};
use crate::input;
use crate::method::Method;
use crate::product::Schedule;
use crate::randomized::randomized_with;
use crate::real::Real;
use crate::svd::Svd;

/// What [`decompose_all`] does and where it looks first.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct BatchOptions<'a> {
    /// The decomposition.
    pub method: Method,
    /// A cache that is consulted first and that receives what had to be computed. For [`Method::Truncated`] it keeps the thin
    /// decomposition, which serves every rank.
    pub cache: Option<&'a BasisCache>,
}

impl<'a> BatchOptions<'a> {
    /// The given decomposition without a cache.
    pub fn new(method: Method) -> Self {
        Self { method, cache: None }
    }

    /// Uses a cache.
    pub fn with_cache(mut self, cache: &'a BasisCache) -> Self {
        self.cache = Some(cache);
        self
    }
}

/// One matrix is done.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct Progress {
    /// Position of the matrix in the list.
    pub index: usize,
    /// Matrices done so far, this one included.
    pub completed: usize,
    /// Matrices in all.
    pub total: usize,
    /// Where the factors came from.
    pub source: Source,
    /// Time that this matrix took.
    pub elapsed: Duration,
}

/// Where factors came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Source {
    /// They were computed.
    Computed,
    /// They were read from the cache.
    Cache,
}

/// A matrix of a batch could not be decomposed.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("matrix {index} of {total}: {source}")]
#[non_exhaustive]
pub struct BatchError {
    /// Position of the matrix in the list, from 0; the first one if several failed.
    pub index: usize,
    /// Matrices in all.
    pub total: usize,
    /// Why.
    pub source: SvdError,
}

/// Decomposes many matrices, in parallel over the matrices, on the threads of the current rayon pool. Each is decomposed sequentially,
/// unless there are fewer of them than threads.
///
/// Results come in the order of the input, and their bits do not depend on the number of threads. `progress` is called once per matrix,
/// from whichever thread finished it.
///
/// # Errors
/// [`BatchError`] with the first matrix that failed. A cache that cannot be read or written is not an error: it is reported
/// with a `tracing` warning, and the factors are computed.
pub fn decompose_all<T, M>(
    matrices: &[M],
    options: &BatchOptions<'_>,
    progress: impl Fn(Progress) + Sync,
) -> Result<Vec<Svd<T>>, BatchError>
where
    T: Real,
    M: Borrow<DMatrix<T>> + Sync,
{
    let total = matrices.len();
    let schedule = if total < rayon::current_num_threads() { Schedule::Parallel } else { Schedule::Sequential };
    let completed = AtomicUsize::new(0);
    // The most expensive first, so that no thread is left with a large one at the end.
    let mut order: Vec<usize> = (0..total).collect();
    order.sort_by_key(|&index| std::cmp::Reverse(cost(matrices[index].borrow())));
    let mut results: Vec<(usize, Result<Svd<T>, SvdError>)> = order
        .into_iter()
        .par_bridge()
        .map(|index| {
            let start = Instant::now();
            let outcome = one(matrices[index].borrow(), options, schedule);
            let source = if matches!(outcome, Ok((_, Source::Cache))) { Source::Cache } else { Source::Computed };
            let completed = completed.fetch_add(1, Ordering::Relaxed) + 1;
            progress(Progress { index, completed, total, source, elapsed: start.elapsed() });
            (index, outcome.map(|(svd, _)| svd))
        })
        .collect();
    results.sort_by_key(|(index, _)| *index);
    results.into_iter().map(|(index, result)| result.map_err(|source| BatchError { index, total, source })).collect()
}

fn one<T: Real>(
    matrix: &DMatrix<T>,
    options: &BatchOptions<'_>,
    schedule: Schedule,
) -> Result<(Svd<T>, Source), SvdError> {
    let Some(cache) = options.cache else {
        return Ok((compute(matrix, options.method, schedule)?, Source::Computed));
    };
    // A truncation costs as much as what it truncates, so that is what the cache keeps: every rank finds it.
    let Method::Truncated { rank } = options.method else {
        return cached(matrix, options.method, cache, schedule);
    };
    let (rows, cols) = matrix.shape();
    if rows > 0 && cols > 0 {
        input::check_rank(rank, rows.min(cols), rows, cols)?;
    }
    let (svd, source) = cached(matrix, Method::Thin, cache, schedule)?;
    Ok((svd.truncate(rank)?, source))
}

fn compute<T: Real>(matrix: &DMatrix<T>, method: Method, schedule: Schedule) -> Result<Svd<T>, SvdError> {
    match method {
        Method::Thin => thin_with(matrix, schedule),
        Method::Truncated { rank } => truncated_with(matrix, rank, schedule),
        Method::Randomized(randomized) => randomized_with(matrix, &randomized, schedule),
    }
}

fn cached<T: Real>(
    matrix: &DMatrix<T>,
    method: Method,
    cache: &BasisCache,
    schedule: Schedule,
) -> Result<(Svd<T>, Source), SvdError> {
    let key = CacheKey::new(matrix, &method);
    match cache.load(&key) {
        Ok(Some(svd)) => return Ok((svd, Source::Cache)),
        Ok(None) => {}
        Err(error) => tracing::warn!(%error, "the basis cache cannot be read; computing"),
    }
    let svd = compute(matrix, method, schedule)?;
    if let Err(error) = cache.store(&key, &svd) {
        tracing::warn!(%error, "the basis cache cannot be written");
    }
    Ok((svd, Source::Computed))
}

/// Proportional to the work of a full decomposition.
fn cost<T: Real>(matrix: &DMatrix<T>) -> u128 {
    let (rows, cols) = matrix.shape();
    let (small, large) = (rows.min(cols) as u128, rows.max(cols) as u128);
    small * small * (large + 2 * small)
}
