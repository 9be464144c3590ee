//! Cross-entropy and focal losses.

use super::ignored::mean;
use burn::tensor::{Tensor, activation};

/// Per-pixel cross-entropy of logits: `(1 - y) x - log sigmoid(x)`, finite for every finite logit.
fn pixelwise(logits: Tensor<4>, target: Tensor<4>) -> Tensor<4> {
    let log_sigmoid = activation::log_sigmoid(logits.clone());
    logits * (target * -1.0 + 1.0) - log_sigmoid
}

/// Binary cross-entropy on logits, mean over pixels and images.
///
/// `logits`, `target`: `[batch, labels, height, width]`; `ignored`: `[batch, 1, height, width]`, 1 where a pixel does not count,
/// `None` where all do; returns shape `[1]`.
pub fn binary_cross_entropy(logits: Tensor<4>, target: Tensor<4>, ignored: Option<&Tensor<4>>) -> Tensor<1> {
    mean(pixelwise(logits, target), ignored)
}

/// `base^gamma` by products for the usual exponents, whose gradient stays exact at 0.
fn power(base: Tensor<4>, gamma: f64) -> Tensor<4> {
    if gamma == 2.0 {
        base.square()
    } else if gamma == 3.0 {
        base.clone().square() * base
    } else {
        base.powf_scalar(gamma)
    }
}

/// The focal loss: `a_t (1 - p_t)^gamma BCE`, mean over pixels and images, where `p_t` is the probability given to the
/// true class and `a_t` is `alpha` on foreground and `1 - alpha` on background.
///
/// Shapes as in [`binary_cross_entropy`]. `gamma` of 0 is weighted cross-entropy.
pub fn focal(logits: Tensor<4>, target: Tensor<4>, ignored: Option<&Tensor<4>>, alpha: f64, gamma: f64) -> Tensor<1> {
    let probability = activation::sigmoid(logits.clone());
    mean(weighted_cross_entropy(pixelwise(logits, target.clone()), probability, target, alpha, gamma), ignored)
}

/// The focal loss as the paper's released code runs it: its cross-entropy takes the *probabilities* for logits.
///
/// The cross-entropy term then lies between 0.31 and 1.31 whatever the prediction, so this is not a focal loss; it is here
/// because the paper's results were made with it. Only the `paper` profile uses it. Shapes as in
/// [`binary_cross_entropy`].
pub fn focal_on_probabilities(
    logits: Tensor<4>,
    target: Tensor<4>,
    ignored: Option<&Tensor<4>>,
    alpha: f64,
    gamma: f64,
) -> Tensor<1> {
    let probability = activation::sigmoid(logits);
    let entropy = pixelwise(probability.clone(), target.clone());
    mean(weighted_cross_entropy(entropy, probability, target, alpha, gamma), ignored)
}

fn weighted_cross_entropy(
    entropy: Tensor<4>,
    probability: Tensor<4>,
    target: Tensor<4>,
    alpha: f64,
    gamma: f64,
) -> Tensor<4> {
    // a_t = alpha y + (1 - alpha) (1 - y)
    let alpha_t = target.clone() * (2.0 * alpha - 1.0) + (1.0 - alpha);
    if gamma == 0.0 {
        return alpha_t * entropy;
    }
    // 1 - p_t = p + y - 2 p y, and exactly the probability of the wrong class when y is 0 or 1.
    let wrong = probability.clone() + target.clone() - probability * target * 2.0;
    alpha_t * power(wrong, gamma) * entropy
}
