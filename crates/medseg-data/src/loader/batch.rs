//! Tensors for one step.

use crate::error::{DataError, Result};
use crate::transform::{Item, ResizeGeometry};
use burn::tensor::{Device, Tensor, TensorData};

/// A batch of N samples with L labels (here always 1) at side S.
#[derive(Debug, Clone)]
pub struct Batch {
    /// Normalised images, `[N, 3, S, S]`.
    pub images: Tensor<4>,
    /// Masks, `[N, L, S, S]`, 0 to 1.
    pub masks: Tensor<4>,
    /// Sample ids, N.
    pub ids: Vec<String>,
    /// The way back to the original pixels, N.
    pub geometry: Vec<ResizeGeometry>,
}

impl Batch {
    /// Stacks finished samples on a device.
    ///
    /// # Errors
    /// [`DataError::Config`] for no samples or samples of different sizes.
    pub fn new(items: &[Item], device: &Device) -> Result<Self> {
        let Some(first) = items.first() else {
            return Err(DataError::config("batch", "at least one sample", 0));
        };
        let side = first.size;
        if let Some(other) = items.iter().find(|i| i.size != side) {
            return Err(DataError::config(
                "size",
                format!("{side} pixels as the first sample of the batch"),
                other.size,
            ));
        }
        let mut images = Vec::with_capacity(items.len() * 3 * side * side);
        let mut masks = Vec::with_capacity(items.len() * side * side);
        for item in items {
            images.extend_from_slice(&item.image);
            masks.extend_from_slice(&item.mask);
        }
        Ok(Self {
            images: Tensor::from_data(TensorData::new(images, [items.len(), 3, side, side]), device),
            masks: Tensor::from_data(TensorData::new(masks, [items.len(), 1, side, side]), device),
            ids: items.iter().map(|i| i.id.clone()).collect(),
            geometry: items.iter().map(|i| i.geometry).collect(),
        })
    }

    /// N.
    pub fn len(&self) -> usize {
        self.ids.len()
    }

    /// Whether the batch has no samples; [`new`](Batch::new) makes no such batch.
    pub fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }
}
