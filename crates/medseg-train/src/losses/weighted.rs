//! A weighted sum of loss terms, as a run's configuration names them.

use super::ignored::silence;
use super::{DicePooling, binary_cross_entropy, boundary, cldice, dice, focal, focal_on_probabilities};
use crate::error::{Result, TrainError};
use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

/// One term and its weight.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LossTerm {
    /// Factor in the sum.
    #[serde(default = "one")]
    pub weight: f64,
    /// Which loss.
    #[serde(flatten)]
    pub kind: LossTermKind,
}

fn one() -> f64 {
    1.0
}

/// The losses by name (`kind = "dice"` and so on in a run file).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
#[non_exhaustive]
pub enum LossTermKind {
    /// [`dice`].
    Dice {
        /// Per image or over the batch.
        #[serde(default)]
        pooling: DicePooling,
        /// Added to numerator and denominator, in px.
        #[serde(default = "one")]
        smooth: f64,
    },
    /// [`focal`].
    Focal {
        /// Weight of the foreground, 0 to 1.
        alpha: f64,
        /// Exponent, 0 or at least 1.
        gamma: f64,
    },
    /// [`binary_cross_entropy`].
    CrossEntropy {},
    /// [`cldice`].
    ClDice {
        /// Erosions; at least half the widest vessel in px.
        iterations: usize,
        /// Added to numerator and denominator, in px.
        #[serde(default = "one")]
        smooth: f64,
    },
    /// [`boundary`].
    Boundary {},
    /// [`focal_on_probabilities`]; only for the paper's profile.
    PaperFocal {
        /// Weight of the foreground, 0 to 1.
        alpha: f64,
        /// Exponent, 0 or at least 1.
        gamma: f64,
    },
}

/// A sum of weighted terms.
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use medseg_train::losses::WeightedLoss;
///
/// let device = Device::flex();
/// let logits = Tensor::<4>::from_floats([[[[2.0, -1.0], [0.5, -3.0]]]], &device);
/// let target = Tensor::<4>::from_floats([[[[1.0, 0.0], [1.0, 0.0]]]], &device);
/// let loss = WeightedLoss::default().forward(logits, target, None)?;
/// assert!(loss.into_scalar::<f32>() < 0.5);
/// # Ok::<(), medseg_train::TrainError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct WeightedLoss {
    /// The terms, at least one.
    pub terms: Vec<LossTerm>,
}

impl Default for WeightedLoss {
    /// Dice per image plus the focal loss with the paper's alpha 0.75 and gamma 3, on logits.
    fn default() -> Self {
        Self::new([
            LossTermKind::Dice { pooling: DicePooling::Image, smooth: 1.0 },
            LossTermKind::Focal { alpha: 0.75, gamma: 3.0 },
        ])
    }
}

impl WeightedLoss {
    /// A sum with weight 1 each.
    pub fn new(kinds: impl IntoIterator<Item = LossTermKind>) -> Self {
        Self { terms: kinds.into_iter().map(|kind| LossTerm { weight: 1.0, kind }).collect() }
    }

    /// The losses of the paper's released code: Dice over the batch plus the focal loss on probabilities.
    pub fn paper() -> Self {
        Self::new([
            LossTermKind::Dice { pooling: DicePooling::Batch, smooth: 1.0 },
            LossTermKind::PaperFocal { alpha: 0.75, gamma: 3.0 },
        ])
    }

    /// Checks every parameter.
    ///
    /// # Errors
    /// The first term with a weight, alpha, gamma or smoothing that makes no sense, or an empty list.
    pub fn validate(&self) -> Result<()> {
        let fail = |index: usize, problem: String| Err(TrainError::config(format!("loss[{index}]"), problem));
        if self.terms.is_empty() {
            return Err(TrainError::config("loss", "at least one term is needed"));
        }
        for (index, term) in self.terms.iter().enumerate() {
            if !(term.weight.is_finite() && term.weight > 0.0) {
                return fail(index, format!("weight must be positive, found {}", term.weight));
            }
            match term.kind {
                LossTermKind::Focal { alpha, gamma } | LossTermKind::PaperFocal { alpha, gamma } => {
                    if !(0.0..=1.0).contains(&alpha) {
                        return fail(index, format!("alpha must lie in 0..=1, found {alpha}"));
                    }
                    if !(gamma == 0.0 || (1.0..=10.0).contains(&gamma)) {
                        return fail(index, format!("gamma must be 0 or lie in 1..=10, found {gamma}"));
                    }
                }
                LossTermKind::Dice { smooth, .. } if !(smooth.is_finite() && smooth > 0.0) => {
                    return fail(index, format!("smooth must be positive, found {smooth}"));
                }
                LossTermKind::ClDice { iterations, smooth } => {
                    if !(smooth.is_finite() && smooth > 0.0) {
                        return fail(index, format!("smooth must be positive, found {smooth}"));
                    }
                    if !(1..=100).contains(&iterations) {
                        return fail(index, format!("iterations must lie in 1..=100, found {iterations}"));
                    }
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// The sum for one batch: `logits` and `target` of shape `[batch, labels, height, width]`, result of shape `[1]`.
    ///
    /// `ignored`, of shape `[batch, 1, height, width]`, is 1 where a pixel does not count and the target is 0; `None` where all count.
    /// What the logits say there changes no bit of the result, and a mean is one over the pixels of each image that count.
    ///
    /// # Errors
    /// Shapes that do not fit, or a target that cannot be read back from the device (boundary loss).
    pub fn forward(&self, logits: Tensor<4>, target: Tensor<4>, ignored: Option<&Tensor<4>>) -> Result<Tensor<1>> {
        if logits.dims() != target.dims() {
            return Err(TrainError::Model(format!(
                "logits of shape {:?} against a target of shape {:?}",
                logits.dims(),
                target.dims()
            )));
        }
        let [batch, _, height, width] = logits.dims();
        if let Some(found) = ignored.map(Tensor::dims).filter(|&dims| dims != [batch, 1, height, width]) {
            return Err(TrainError::Model(format!(
                "ignored pixels of shape {found:?}, expected {:?}",
                [batch, 1, height, width]
            )));
        }
        let logits = match ignored {
            None => logits,
            Some(ignored) => silence(logits, ignored),
        };
        let mut total: Option<Tensor<1>> = None;
        for term in &self.terms {
            let (x, y) = (logits.clone(), target.clone());
            let value = match &term.kind {
                LossTermKind::Dice { pooling, smooth } => dice(x, y, *pooling, *smooth),
                LossTermKind::Focal { alpha, gamma } => focal(x, y, ignored, *alpha, *gamma),
                LossTermKind::CrossEntropy {} => binary_cross_entropy(x, y, ignored),
                LossTermKind::ClDice { iterations, smooth } => cldice(x, y, *iterations, *smooth),
                LossTermKind::Boundary {} => boundary(x, y, ignored)?,
                LossTermKind::PaperFocal { alpha, gamma } => focal_on_probabilities(x, y, ignored, *alpha, *gamma),
            };
            let value = if term.weight == 1.0 { value } else { value * term.weight };
            total = Some(match total {
                None => value,
                Some(sum) => sum + value,
            });
        }
        total.ok_or_else(|| TrainError::config("loss", "at least one term is needed"))
    }
}
