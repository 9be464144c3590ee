//! The soft Dice loss.

use burn::tensor::{Tensor, activation};
use serde::{Deserialize, Serialize};

/// Over what one Dice value is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DicePooling {
    /// One Dice per image and label, then their mean: every image weighs the same.
    #[default]
    Image,
    /// One Dice over all pixels of the batch, as the paper's released code does.
    Batch,
}

/// The soft Dice loss `1 - (2 sum(p y) + smooth) / (sum(p) + sum(y) + smooth)` with `p = sigmoid(logits)`.
///
/// `logits`, `target`: `[batch, labels, height, width]`; returns shape `[1]`.
pub fn dice(logits: Tensor<4>, target: Tensor<4>, pooling: DicePooling, smooth: f64) -> Tensor<1> {
    let [batch, labels, height, width] = logits.dims();
    let groups = match pooling {
        DicePooling::Image => [batch * labels, height * width],
        DicePooling::Batch => [1, batch * labels * height * width],
    };
    let probability = activation::sigmoid(logits).reshape(groups);
    let target = target.reshape(groups);
    let overlap = (probability.clone() * target.clone()).sum_dim(1);
    let total = (probability + target).sum_dim(1);
    let score = (overlap * 2.0 + smooth) / (total + smooth);
    (score * -1.0 + 1.0).mean()
}
