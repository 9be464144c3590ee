//! The singular vectors of the weights to adapt, all decomposed in parallel.

use crate::config::{Decomposition, Rank, Sketch};
use crate::error::PeftError;
use crate::layer::HostSvd;
use nalgebra::DMatrix;
use salt_linalg::{BasisCache, BatchOptions, Method, Svd, decompose_all};
use std::path::Path;

/// Which of the two signs each singular pair has: in every column of U the entry of largest magnitude is positive.
pub(crate) const SIGN_RULE: &str = "largest-of-u-positive";

/// A part of a weight whose basis is needed.
#[derive(Debug)]
pub(crate) struct Job {
    pub(crate) path: String,
    /// `W [out, in]`.
    pub(crate) matrix: DMatrix<f32>,
    /// Keep all triplets, or only those that the rank needs.
    pub(crate) full: bool,
    pub(crate) rank: Rank,
    pub(crate) decomposition: Decomposition,
}

impl Job {
    /// A truncated decomposition goes one triplet beyond the cut, so that the gap there is known.
    fn method(&self) -> Method {
        let k = self.matrix.nrows().min(self.matrix.ncols());
        let leading = self.rank.without_values(k).filter(|rank| !self.full && rank + 1 < k).map(|rank| rank + 1);
        match (leading, self.decomposition) {
            (None, _) => Method::Thin,
            (Some(rank), Decomposition::Exact) => Method::Truncated { rank },
            (Some(rank), Decomposition::Randomized(sketch)) => {
                sketch.options(rank, k).map_or(Method::Truncated { rank }, Method::Randomized)
            }
        }
    }

    fn rank(&self, svd: &Svd<f32>) -> Result<usize, PeftError> {
        let (rows, columns) = self.matrix.shape();
        match &self.rank {
            Rank::Rule(rule) if self.rank.without_values(rows.min(columns)).is_none() => rule
                .select(svd.singular_values.as_slice(), rows, columns)
                .map_err(|source| PeftError::RankRule { path: self.path.clone(), source }),
            rank => Ok(rank.without_values(rows.min(columns)).unwrap_or_default()),
        }
    }
}

/// A decomposition with the rank that the configuration's rule gives for it.
#[derive(Debug)]
pub(crate) struct Decomposed {
    pub(crate) svd: HostSvd,
    pub(crate) rank: usize,
    pub(crate) algorithm: String,
    /// The settings of a randomised decomposition; none for an exact one.
    pub(crate) sketch: Option<Sketch>,
}

/// Decomposes all parts, in the order of the jobs; consumes them, so that no copy of a weight outlives its decomposition.
pub(crate) fn decompose(jobs: Vec<Job>, cache: Option<&Path>) -> Result<Vec<Decomposed>, PeftError> {
    let cache = cache.map(BasisCache::open).transpose()?;
    let mut methods: Vec<Method> = Vec::new();
    for job in &jobs {
        let method = job.method();
        if !methods.contains(&method) {
            methods.push(method);
        }
    }
    let mut results: Vec<Option<Decomposed>> = jobs.iter().map(|_| None).collect();
    for method in methods {
        let mut options = BatchOptions::new(method);
        if let Some(cache) = &cache {
            options = options.with_cache(cache);
        }
        let group: Vec<usize> = (0..jobs.len()).filter(|index| jobs[*index].method() == method).collect();
        let matrices: Vec<&DMatrix<f32>> = group.iter().map(|index| &jobs[*index].matrix).collect();
        let decompositions: Vec<Svd<f32>> = decompose_all(&matrices, &options, |_| {}).map_err(|error| {
            PeftError::Decomposition { path: jobs[group[error.index]].path.clone(), source: error.source }
        })?;
        for (index, svd) in group.into_iter().zip(decompositions) {
            let rank = jobs[index].rank(&svd)?;
            let sketch = match jobs[index].decomposition {
                Decomposition::Randomized(sketch) if svd.algorithm.is_randomized() => Some(sketch),
                _ => None,
            };
            let algorithm = svd.algorithm.name().to_owned();
            results[index] = Some(Decomposed { rank, algorithm, sketch, svd: host(svd) });
        }
    }
    Ok(results.into_iter().flatten().collect())
}

/// Takes the factors over: nalgebra's column-major `U` is `U^T` row by row, and its `V^T` is `V`.
pub(crate) fn host(svd: Svd<f32>) -> HostSvd {
    let (outputs, inputs) = svd.shape();
    HostSvd { outputs, inputs, u_t: svd.u.data.into(), sigma: svd.singular_values.data.into(), v: svd.v_t.data.into() }
}
