//! One device's part of a step.

use super::checkpointed;
use crate::data::Batch;
use crate::embeddings::{Encoding, Part};
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
    /// Whether the encoder's blocks are computed a second time instead of kept.
    pub(super) checkpointing: bool,
    pub(super) encoding: Encoding,
}

impl Share {
    /// Their mean loss.
    pub(super) fn forward(self, model: &Segmenter) -> Result<Tensor<1>> {
        let Batch { images, masks, ignored, items } = self.batch;
        let logits = if self.encoding.frozen {
            let ids: Vec<&str> = items.iter().map(|item| item.id.as_str()).collect();
            self.encoding.logits(model, images, Part::Training, &ids)?
        } else {
            model.forward_training(images, &self.draws)?
        };
        self.loss.forward(logits, masks, ignored.as_ref())
    }

    /// Gradients of `weight` times the mean loss, and that loss.
    pub(super) fn gradients(self, model: &Segmenter) -> Result<(GradientsParams, f32)> {
        let weight = self.weight;
        if self.checkpointing && !self.encoding.frozen {
            let Batch { images, masks, ignored, .. } = self.batch;
            let loss = |logits| self.loss.forward(logits, masks, ignored.as_ref());
            return checkpointed::gradients(model, images, weight, loss);
        }
        let loss = self.forward(model)?;
        let value = loss.clone().into_scalar::<f32>();
        let loss = if weight == 1.0 { loss } else { loss * weight };
        Ok((GradientsParams::from_grads(loss.backward(), model), value))
    }
}
