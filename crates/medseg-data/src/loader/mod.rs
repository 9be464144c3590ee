//! Batches for Burn: decoded in parallel, prefetched in order, optionally cached in memory.

mod batch;
mod cache;
mod prefetch;

pub use batch::Batch;
pub use prefetch::{Batches, Items};

use crate::dataset::Sample;
use crate::error::{DataError, Result};
use crate::random::Stream;
use crate::transform::Pipeline;
use burn::tensor::Device;
use cache::Cache;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// How samples become batches.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LoaderConfig {
    /// Samples a batch.
    pub batch_size: usize,
    /// Threads that decode and transform; 0 takes one a core.
    pub workers: usize,
    /// Batches prepared ahead of the one in use.
    pub prefetch: usize,
    /// Whether the order changes with every epoch.
    pub shuffle: bool,
    /// Whether an incomplete last batch is left out.
    pub drop_last: bool,
    /// Memory in MiB for decoded images that stay between epochs; 0 keeps none.
    pub cache_mib: usize,
    /// Seed of order and augmentation.
    pub seed: u64,
}

impl Default for LoaderConfig {
    fn default() -> Self {
        Self { batch_size: 2, workers: 0, prefetch: 2, shuffle: false, drop_last: false, cache_mib: 0, seed: 42 }
    }
}

/// Samples, a pipeline and a pool of threads.
///
/// What an epoch delivers depends on the samples, the pipeline, `seed` and the epoch's number only: not on the number of
/// workers, the cache or the epochs before.
#[derive(Debug, Clone)]
pub struct Loader {
    shared: Arc<Shared>,
    config: LoaderConfig,
}

#[derive(Debug)]
struct Shared {
    samples: Vec<Sample>,
    pipeline: Pipeline,
    cache: Cache,
    pool: rayon::ThreadPool,
}

impl Loader {
    /// A loader over samples, in their order.
    ///
    /// # Errors
    /// [`DataError::Config`] without samples, for a batch size of 0, or when the threads cannot be started.
    pub fn new(samples: impl IntoIterator<Item = Sample>, pipeline: Pipeline, config: LoaderConfig) -> Result<Self> {
        let samples: Vec<Sample> = samples.into_iter().collect();
        if samples.is_empty() {
            return Err(DataError::config("samples", "at least one sample", 0));
        }
        if config.batch_size == 0 {
            return Err(DataError::config("batch_size", "at least 1", 0));
        }
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(config.workers)
            .thread_name(|i| format!("medseg-data-{i}"))
            .build()
            .map_err(|e| DataError::config("workers", "a number of threads that can be started", e))?;
        let cache = Cache::new(samples.len(), config.cache_mib << 20);
        Ok(Self { shared: Arc::new(Shared { samples, pipeline, cache, pool }), config })
    }

    /// The samples in their own order.
    pub fn samples(&self) -> &[Sample] {
        &self.shared.samples
    }

    /// The pipeline.
    pub fn pipeline(&self) -> &Pipeline {
        &self.shared.pipeline
    }

    /// The configuration.
    pub fn config(&self) -> &LoaderConfig {
        &self.config
    }

    /// Batches an epoch.
    pub fn batches_per_epoch(&self) -> usize {
        let count = self.shared.samples.len();
        if self.config.drop_last { count / self.config.batch_size } else { count.div_ceil(self.config.batch_size) }
    }

    /// Bytes that the cache holds at the moment.
    pub fn cached_bytes(&self) -> usize {
        self.shared.cache.bytes()
    }

    /// The order of one epoch: indices into [`samples`](Loader::samples).
    pub fn order(&self, epoch: u64) -> Vec<usize> {
        let mut order: Vec<usize> = (0..self.shared.samples.len()).collect();
        if self.config.shuffle {
            Stream::new(self.config.seed, epoch, "", "order").shuffle(&mut order);
        }
        if self.config.drop_last {
            order.truncate(self.batches_per_epoch() * self.config.batch_size);
        }
        order
    }

    /// The batches of one epoch, on `device`, in order. A sample that cannot be loaded gives an error in the place of its
    /// batch; the batches after it still come.
    pub fn epoch(&self, epoch: u64, device: &Device) -> Batches {
        self.epoch_from(epoch, 0, device)
    }

    /// The batches of one epoch from batch `first` on, for resuming: the same as skipping `first` batches, without loading
    /// them.
    pub fn epoch_from(&self, epoch: u64, first: usize, device: &Device) -> Batches {
        Batches::new(self.items_from(epoch, first), self.config.batch_size, device.clone())
    }

    /// The samples of one epoch one by one, in order, without tensors.
    pub fn items(&self, epoch: u64) -> Items {
        self.items_from(epoch, 0)
    }

    fn items_from(&self, epoch: u64, first: usize) -> Items {
        let mut order = self.order(epoch);
        order.drain(..order.len().min(first.saturating_mul(self.config.batch_size)));
        let ahead = (self.config.prefetch + 1).saturating_mul(self.config.batch_size);
        Items::new(Arc::clone(&self.shared), order, ahead, self.config.seed, epoch)
    }
}

impl Shared {
    /// One finished sample; from the cache if it is there.
    fn item(&self, index: usize, seed: u64, epoch: u64) -> Result<crate::transform::Item> {
        let sample = &self.samples[index];
        let prepared = match self.cache.get(index) {
            Some(prepared) => prepared,
            None => self.cache.offer(index, self.pipeline.load(sample)?),
        };
        Ok(self.pipeline.finish(&prepared, &sample.id, seed, epoch))
    }
}
