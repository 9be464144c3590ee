//! Masks of a batch, from tensors.

use crate::{Mask, MaskPair, MetricsError, Result};
use burn::tensor::{Tensor, TensorReadError};

/// What a network drew for a batch of images, and what is right; the input of [`ImageMetric`](super::ImageMetric).
///
/// All tensors are `[batch, 1, height, width]`. They are read from the device when a metric is computed.
#[derive(Debug, Clone)]
pub struct MaskBatch {
    predictions: Tensor<4>,
    threshold: f32,
    targets: Tensor<4>,
    ignored: Option<Tensor<4>>,
}

impl MaskBatch {
    /// From logits: foreground where the logit is at least 0, that is where the probability is at least one half. A target
    /// is foreground above 0.5.
    pub fn from_logits(logits: Tensor<4>, targets: Tensor<4>) -> Self {
        Self { predictions: logits, threshold: 0.0, targets, ignored: None }
    }

    /// From probabilities: foreground where they are at least `threshold`. A target is foreground above 0.5.
    pub fn from_probabilities(probabilities: Tensor<4>, targets: Tensor<4>, threshold: f32) -> Self {
        Self { predictions: probabilities, threshold, targets, ignored: None }
    }

    /// With pixels to be ignored, where `ignored` is above 0.5; the metric's protocol must
    /// [allow that](crate::Protocol::with_ignored_pixels).
    #[must_use]
    pub fn with_ignored(mut self, ignored: impl Into<Option<Tensor<4>>>) -> Self {
        self.ignored = ignored.into();
        self
    }

    /// The masks, image by image; a pair is named by its position in the batch.
    ///
    /// # Errors
    /// When the tensors differ in shape, have more than one channel or hold NaN, or cannot be read from the device.
    pub fn pairs(&self) -> Result<Vec<MaskPair>> {
        let [_, channels, height, width] = self.predictions.dims();
        let shapes = [Some(&self.targets), self.ignored.as_ref()];
        if let Some(other) =
            shapes.into_iter().flatten().map(Tensor::dims).find(|dims| *dims != self.predictions.dims())
        {
            return Err(MetricsError::BatchShape { predictions: self.predictions.dims(), other });
        }
        if channels != 1 {
            return Err(MetricsError::BatchChannels { predictions: self.predictions.dims() });
        }
        Mask::new(height, width)?;
        let predictions = planes(&self.predictions, height, width, self.threshold, true)?;
        let targets = planes(&self.targets, height, width, 0.5, false)?;
        let ignored = self.ignored.as_ref().map(|ignored| planes(ignored, height, width, 0.5, false)).transpose()?;
        let mut ignored = ignored.into_iter().flatten();
        let pairs = predictions.into_iter().zip(targets).enumerate().map(|(at, (prediction, target))| {
            MaskPair::new(at.to_string(), prediction, target).with_ignored(ignored.next())
        });
        Ok(pairs.collect())
    }
}

/// The masks of `tensor`: values above `threshold`, or at it where `inclusive`.
fn planes(tensor: &Tensor<4>, height: usize, width: usize, threshold: f32, inclusive: bool) -> Result<Vec<Mask>> {
    let values = tensor.try_to_vec_as::<f32>()?;
    // The next number above, so that "above" is "at least".
    let from = if inclusive { threshold } else { threshold.next_up() };
    values.chunks_exact(height * width).map(|plane| Mask::from_probabilities(height, width, plane, from)).collect()
}

/// The error as burn-train's metrics must return it.
pub(super) fn unreadable(error: MetricsError) -> TensorReadError {
    match error {
        MetricsError::Tensor(error) => error,
        other => burn::tensor::ExecutionError::with_context(other.to_string()).into(),
    }
}
