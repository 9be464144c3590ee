//! Finished samples stacked for one step, as plain arrays: any tensor library takes them as they are.

use crate::error::{DataError, Result};
use crate::transform::{Item, ResizeGeometry};

/// A batch of N samples at side S.
#[derive(Debug, Clone, PartialEq)]
pub struct Batch {
    /// Normalised images, `[N, 3, S, S]`.
    pub images: Vec<f32>,
    /// Masks, `[N, 1, S, S]`, 0 to 1.
    pub masks: Vec<f32>,
    /// Pixels that count neither in the loss nor in a metric, `[N, 1, S, S]`: 1 there and 0 elsewhere; `None` where no sample
    /// of the batch has any.
    pub ignored: Option<Vec<f32>>,
    /// S in pixels.
    pub side: usize,
    /// Sample ids, N.
    pub ids: Vec<String>,
    /// The way back to the original pixels, N.
    pub geometry: Vec<ResizeGeometry>,
}

impl Batch {
    /// Stacks finished samples, at least one and all of one size.
    ///
    /// # Errors
    /// [`DataError::Config`] for no samples or samples of different sizes.
    pub fn stack(items: &[Item]) -> Result<Self> {
        let Some(first) = items.first() else {
            return Err(DataError::config("batch", "at least one sample", 0));
        };
        let side = first.size;
        if let Some(other) = items.iter().find(|i| i.size != side) {
            let expected = format!("{side} pixels as the first sample of the batch");
            return Err(DataError::config("size", expected, other.size));
        }
        let plane = side * side;
        let ignored = items.iter().any(|item| item.ignored.is_some()).then(|| {
            let none = || vec![0f32; plane];
            items.iter().flat_map(|item| item.ignored.clone().unwrap_or_else(none)).collect()
        });
        Ok(Self {
            images: items.iter().flat_map(|item| item.image.iter().copied()).collect(),
            masks: items.iter().flat_map(|item| item.mask.iter().copied()).collect(),
            ignored,
            side,
            ids: items.iter().map(|item| item.id.clone()).collect(),
            geometry: items.iter().map(|item| item.geometry).collect(),
        })
    }

    /// N, at least 1.
    #[allow(clippy::len_without_is_empty, reason = "no batch is empty")]
    pub fn len(&self) -> usize {
        self.ids.len()
    }
}
