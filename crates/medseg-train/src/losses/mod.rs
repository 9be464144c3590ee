//! Losses of a segmentation, on logits.
//!
//! All take `logits` of shape `[batch, labels, height, width]` and a `target` of the same shape with values in `[0, 1]`
//! (0 or 1 for hard masks, fractions for resized soft ones), and return a tensor of shape `[1]`. Logits rather than
//! probabilities keep gradients alive where a prediction is confidently wrong.
//!
//! Pixels can be ignored: [`WeightedLoss::forward`] lets them say background in logits and target, so that they add nothing to a
//! sum, and the terms that are means divide by the pixels that count.
//!
//! | term | formula | source |
//! |---|---|---|
//! | [`binary_cross_entropy`] | mean of `(1 - y) x - log sigmoid(x)` | - |
//! | [`focal`] | mean of `a_t (1 - p_t)^gamma BCE` | Lin et al. 2017 |
//! | [`dice`] | `1 - (2 sum(p y) + s) / (sum(p) + sum(y) + s)` | Milletari et al. 2016 |
//! | [`cldice`] | harmonic mean of the skeletons' overlaps | Shit et al. 2021 |
//! | [`boundary`] | mean of `p` times the signed distance to the target's boundary | Kervadec et al. 2019 |
//! | [`focal_on_probabilities`] | the focal loss as the paper's released code runs it | SALT, released code |

mod boundary;
mod cldice;
mod dice;
mod focal;
mod ignored;
mod weighted;

pub use boundary::{boundary, signed_distance};
pub use cldice::{cldice, soft_skeleton};
pub use dice::{DicePooling, dice};
pub use focal::{binary_cross_entropy, focal, focal_on_probabilities};
pub use weighted::{LossTerm, LossTermKind, WeightedLoss};

#[cfg(test)]
mod tests;
