//! Pixels that a mask says nothing about.

use burn::tensor::Tensor;

/// A logit that means background with certainty.
const CERTAIN: f32 = -30.0;

/// Logits that say background where `ignored` is 1, as the target does there: nothing is added to a sum, and no gradient flows.
pub(super) fn silence(logits: Tensor<4>, ignored: &Tensor<4>) -> Tensor<4> {
    let shape = logits.dims();
    logits.mask_fill(ignored.clone().greater_elem(0.5).expand(shape), CERTAIN)
}

/// The mean of a value per pixel over the pixels of each image that count, then over images and labels. An image in which none
/// counts adds 0.
///
/// `values`: `[batch, labels, height, width]`; `ignored`: `[batch, 1, height, width]`, 1 where a pixel does not count.
pub(super) fn mean(values: Tensor<4>, ignored: Option<&Tensor<4>>) -> Tensor<1> {
    let Some(ignored) = ignored else { return values.mean() };
    let shape = values.dims();
    let [batch, labels, height, width] = shape;
    let planes = [batch * labels, height * width];
    let counted = ignored.clone().lower_equal_elem(0.5).float().expand(shape).reshape(planes);
    let sum = (values.reshape(planes) * counted.clone()).sum_dim(1);
    (sum / counted.sum_dim(1).clamp_min(1.0)).mean()
}
