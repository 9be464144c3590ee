//! What a training or validation step of a segmentation network gives.

use super::batch::MaskBatch;
use burn::tensor::{ExecutionError, Tensor};
use burn::train::ItemLazy;
use burn::train::metric::{Adaptor, LossInput};

/// Loss and logits of one step, for burn-train's learner: feeds its `LossMetric` and every
/// [`ImageMetric`](super::ImageMetric).
#[derive(Debug)]
#[non_exhaustive]
pub struct SegmentationOutput {
    /// The loss, one value.
    pub loss: Tensor<1>,
    /// `[batch, 1, height, width]`.
    pub logits: Tensor<4>,
    /// `[batch, 1, height, width]`, 0 or 1.
    pub targets: Tensor<4>,
    /// `[batch, 1, height, width]`, 1 where a pixel is ignored.
    pub ignored: Option<Tensor<4>>,
}

impl SegmentationOutput {
    /// A step in which every pixel counts.
    pub fn new(loss: Tensor<1>, logits: Tensor<4>, targets: Tensor<4>) -> Self {
        Self { loss, logits, targets, ignored: None }
    }

    /// With pixels to be ignored, where `ignored` is above 0.5. The loss is what it was: leaving them out of it is the
    /// model's part.
    #[must_use]
    pub fn with_ignored(mut self, ignored: impl Into<Option<Tensor<4>>>) -> Self {
        self.ignored = ignored.into();
        self
    }
}

impl Adaptor<LossInput> for SegmentationOutput {
    fn adapt(&self) -> LossInput {
        LossInput::new(self.loss.clone())
    }
}

impl Adaptor<MaskBatch> for SegmentationOutput {
    fn adapt(&self) -> MaskBatch {
        MaskBatch::from_logits(self.logits.clone(), self.targets.clone()).with_ignored(self.ignored.clone())
    }
}

impl ItemLazy for SegmentationOutput {
    /// Hands the step's work to the device and leaves the autodiff graph behind.
    fn sync(self) -> Result<Self, ExecutionError> {
        self.loss.device().flush()?;
        Ok(Self {
            loss: self.loss.without_autodiff(),
            logits: self.logits.without_autodiff(),
            targets: self.targets.without_autodiff(),
            ignored: self.ignored.map(Tensor::without_autodiff),
        })
    }
}
