//! The centre-line Dice loss: overlap of skeletons with masks, so that a thin branch counts as much as a thick one.

use burn::tensor::{Tensor, activation, module, ops::MaxPoolOptions};

fn pool(x: Tensor<4>, kernel: [usize; 2]) -> Tensor<4> {
    let padding = kernel.map(|size| size / 2);
    module::max_pool2d(x, MaxPoolOptions::new(kernel).with_stride([1, 1]).with_padding(padding))
}

/// Smallest value over the cross of four neighbours.
fn erode(x: Tensor<4>) -> Tensor<4> {
    let vertical = pool(x.clone().neg(), [3, 1]);
    let horizontal = pool(x.neg(), [1, 3]);
    vertical.max_pair(horizontal).neg()
}

fn open(x: Tensor<4>) -> Tensor<4> {
    pool(erode(x), [3, 3])
}

/// The differentiable skeleton of Shit et al. 2021 (algorithm 1): what each erosion removes for good, accumulated.
///
/// `x`: `[batch, labels, height, width]` in `[0, 1]`; `iterations` at least half the widest vessel in px. Same shape out.
pub fn soft_skeleton(x: Tensor<4>, iterations: usize) -> Tensor<4> {
    let mut x = x;
    let mut skeleton = activation::relu(x.clone() - open(x.clone()));
    for _ in 0..iterations {
        x = erode(x);
        let delta = activation::relu(x.clone() - open(x.clone()));
        skeleton = skeleton.clone() + activation::relu(delta.clone() - skeleton * delta);
    }
    skeleton
}

/// The clDice loss, `1 - 2 P S / (P + S)`: `P` is the share of the predicted skeleton inside the target, `S` the share of
/// the target's skeleton inside the prediction; one value per image and label, then the mean.
///
/// `logits`, `target`: `[batch, labels, height, width]`; returns shape `[1]`.
pub fn cldice(logits: Tensor<4>, target: Tensor<4>, iterations: usize, smooth: f64) -> Tensor<1> {
    let [batch, labels, height, width] = logits.dims();
    let groups = [batch * labels, height * width];
    let probability = activation::sigmoid(logits);
    let predicted_skeleton = soft_skeleton(probability.clone(), iterations).reshape(groups);
    let target_skeleton = soft_skeleton(target.clone(), iterations).reshape(groups);
    let share = |skeleton: Tensor<2>, mask: Tensor<2>| {
        ((skeleton.clone() * mask).sum_dim(1) + smooth) / (skeleton.sum_dim(1) + smooth)
    };
    let precision = share(predicted_skeleton, target.reshape(groups));
    let sensitivity = share(target_skeleton, probability.reshape(groups));
    let score = precision.clone() * sensitivity.clone() * 2.0 / (precision + sensitivity);
    (score * -1.0 + 1.0).mean()
}
