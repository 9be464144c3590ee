//! Data sets for [Burn](::burn)'s own data loader: samples in, batches of tensors out.
//!
//! [`SegmentationDataset`] gives samples that have gone through a [`Pipeline`], [`SegmentationBatcher`] stacks them on a device.
//! `examples/burn_training.rs` trains with both.

use crate::batch::Batch;
use crate::dataset::Sample;
use crate::error::DataError;
use crate::transform::{Item, Pipeline, ResizeGeometry};
use ::burn::data::dataloader::batcher::Batcher;
use ::burn::data::dataset::{Dataset, DatasetError};
use ::burn::tensor::{Device, Tensor, TensorData};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// The samples of one part of a data set behind a pipeline, decoded when they are asked for.
///
/// Augmentation depends on seed, epoch and sample id alone. A data loader takes the set for itself; a clone that was kept
/// shares its epoch, so that [`set_epoch`](Self::set_epoch) reaches it.
#[derive(Debug, Clone)]
pub struct SegmentationDataset {
    samples: Vec<Sample>,
    pipeline: Pipeline,
    seed: u64,
    epoch: Arc<AtomicU64>,
}

impl SegmentationDataset {
    /// The samples in their order, augmented as `pipeline` says by draws of `seed`.
    pub fn new(samples: impl IntoIterator<Item = Sample>, pipeline: Pipeline, seed: u64) -> Self {
        Self { samples: samples.into_iter().collect(), pipeline, seed, epoch: Arc::default() }
    }

    /// Chooses the draws of augmentation for this set and its clones.
    pub fn set_epoch(&self, epoch: u64) {
        self.epoch.store(epoch, Ordering::Relaxed);
    }
}

impl Dataset<Item> for SegmentationDataset {
    fn get(&self, index: usize) -> Result<Item, DatasetError> {
        let epoch = self.epoch.load(Ordering::Relaxed);
        self.pipeline.apply(&self.samples[index], self.seed, epoch).map_err(DatasetError::new)
    }

    fn len(&self) -> usize {
        self.samples.len()
    }
}

/// A [`Batch`] on a device.
#[derive(Debug, Clone)]
pub struct SegmentationBatch {
    /// Normalised images, `[N, 3, S, S]`.
    pub images: Tensor<4>,
    /// Masks, `[N, 1, S, S]`, 0 to 1.
    pub masks: Tensor<4>,
    /// 1 where a pixel counts neither in the loss nor in a metric, 0 elsewhere, `[N, 1, S, S]`; `None` where all count.
    pub ignored: Option<Tensor<4>>,
    /// Sample ids, N.
    pub ids: Vec<String>,
    /// The way back to the original pixels, N.
    pub geometry: Vec<ResizeGeometry>,
}

impl SegmentationBatch {
    /// A batch of plain arrays on `device`.
    pub fn new(batch: Batch, device: &Device) -> Self {
        let (count, side) = (batch.len(), batch.side);
        let plane = |values: Vec<f32>| Tensor::from_data(TensorData::new(values, [count, 1, side, side]), device);
        Self {
            images: Tensor::from_data(TensorData::new(batch.images, [count, 3, side, side]), device),
            masks: plane(batch.masks),
            ignored: batch.ignored.map(plane),
            ids: batch.ids,
            geometry: batch.geometry,
        }
    }

    /// Stacks finished samples on `device`.
    ///
    /// # Errors
    /// As [`Batch::stack`].
    pub fn stack(items: &[Item], device: &Device) -> Result<Self, DataError> {
        Ok(Self::new(Batch::stack(items)?, device))
    }
}

/// Stacks the samples of a [`SegmentationDataset`].
///
/// # Panics
/// Given no samples, or samples of different sizes: one pipeline makes neither.
#[derive(Debug, Clone, Copy, Default)]
pub struct SegmentationBatcher;

impl Batcher<Item, SegmentationBatch> for SegmentationBatcher {
    fn batch(&self, items: Vec<Item>, device: &Device) -> SegmentationBatch {
        SegmentationBatch::stack(&items, device).expect("at least one sample, all of one pipeline")
    }
}
