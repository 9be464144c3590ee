//! One device's part of a step.

use crate::data::Batch;
use crate::error::Result;
use crate::losses::WeightedLoss;
use crate::model::Segmenter;
use burn::optim::GradientsParams;
use burn::tensor::Tensor;
use seg_baselines::Draws;

/// What one device gets of a batch.
pub(super) struct Share {
    /// Images and masks on the device, with autodiff.
    pub(super) batch: Batch,
    pub(super) loss: WeightedLoss,
    /// What a network drops out in this forward pass.
    pub(super) draws: Draws,
    /// Share of the whole step.
    pub(super) weight: f64,
}

impl Share {
    /// Their mean loss.
    pub(super) fn forward(self, model: &Segmenter) -> Result<Tensor<1>> {
        let Batch { images, masks, ignored, .. } = self.batch;
        self.loss.forward(model.forward_training(images, &self.draws)?, masks, ignored.as_ref())
    }

    /// Gradients of `weight` times the mean loss, and that loss.
    pub(super) fn gradients(self, model: &Segmenter) -> Result<(GradientsParams, f32)> {
        let weight = self.weight;
        let loss = self.forward(model)?;
        let value = loss.clone().into_scalar::<f32>();
        let loss = if weight == 1.0 { loss } else { loss * weight };
        Ok((GradientsParams::from_grads(loss.backward(), model), value))
    }
}
