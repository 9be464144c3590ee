//! Which of the decoder's masks answer a prompt.

use std::ops::Range;

use burn::tensor::{Int, Tensor, TensorData};

use super::MaskPrediction;

/// A pixel is firmly foreground above this logit, and firmly background below its negative.
const STABILITY_MARGIN: f32 = 0.05;
/// Least share of firm foreground at which a mask is stable.
const STABILITY_THRESHOLD: f32 = 0.98;

/// Which masks are asked for. `false` converts into [`First`](Self::First) and `true` into [`Several`](Self::Several).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum MaskChoice {
    /// The mask of the first token.
    First,
    /// The masks of the other tokens: part, whole, larger whole.
    Several,
    /// All of them, in the order of the tokens.
    All,
    /// The first mask where it is stable, otherwise the best by its estimate among the others: how SAM 2's predictor answers when
    /// it is asked for one mask. Stable is a mask of which at least 98 % of the pixels with logits above -0.05 have logits above
    /// 0.05. The choice is made on the host and is not differentiable; the chosen mask is.
    Stable,
}

impl From<bool> for MaskChoice {
    fn from(multimask: bool) -> Self {
        if multimask { Self::Several } else { Self::First }
    }
}

impl MaskChoice {
    /// The masks that have to be decoded.
    pub(super) fn decoded(self, masks: usize) -> Range<usize> {
        match self {
            Self::First => 0..1,
            Self::Several => 1..masks,
            Self::All | Self::Stable => 0..masks,
        }
    }

    /// What is asked for among the masks that were decoded.
    pub(super) fn choose(self, decoded: MaskPrediction) -> MaskPrediction {
        match self {
            Self::Stable => decoded.stable(),
            _ => decoded,
        }
    }
}

impl MaskPrediction {
    /// One mask per prompt, of a prediction that holds [all](MaskChoice::All): see [`MaskChoice::Stable`].
    pub fn stable(self) -> Self {
        let Self { low_resolution, iou, object_score } = self;
        let [count, masks, height, width] = low_resolution.dims();
        let stable = stability(low_resolution.clone().narrow(1, 0, 1));
        let estimates: Vec<f32> = iou.clone().into_data().convert::<f32>().iter::<f32>().collect();
        let indices: Vec<i32> = estimates
            .chunks_exact(masks)
            .zip(stable)
            .enumerate()
            .map(|(entry, (estimates, stability))| {
                let chosen = if stability >= STABILITY_THRESHOLD { 0 } else { best_of_the_others(estimates) };
                (entry * masks + chosen) as i32
            })
            .collect();
        let indices = Tensor::<1, Int>::from_data(TensorData::new(indices, [count]), &low_resolution.device());
        Self {
            low_resolution: low_resolution
                .reshape([count * masks, height, width])
                .select(0, indices.clone())
                .reshape([count, 1, height, width]),
            iou: iou.reshape([count * masks]).select(0, indices).reshape([count, 1]),
            object_score,
        }
    }
}

/// The index with the largest estimate among all but the first; the first of equals.
fn best_of_the_others(estimates: &[f32]) -> usize {
    let mut best = 1.min(estimates.len().saturating_sub(1));
    for (index, estimate) in estimates.iter().enumerate().skip(2) {
        if *estimate > estimates[best] {
            best = index;
        }
    }
    best
}

/// The share of firm foreground of each mask `[N, 1, h, w]`; 1 where nothing is foreground.
fn stability(masks: Tensor<4>) -> Vec<f32> {
    let [count, _, height, width] = masks.dims();
    let values: Vec<f32> = masks.into_data().convert::<f32>().iter::<f32>().collect();
    let share = |mask: &[f32]| {
        let above = |limit: f32| mask.iter().filter(|logit| **logit > limit).count();
        match (above(STABILITY_MARGIN), above(-STABILITY_MARGIN)) {
            (_, 0) => 1.0,
            (firm, all) => firm as f32 / all as f32,
        }
    };
    values.chunks_exact((height * width).max(1)).take(count).map(share).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_of_equal_estimates_is_taken_and_the_first_mask_never() {
        assert_eq!(best_of_the_others(&[0.9, 0.5, 0.7, 0.7]), 2);
        assert_eq!(best_of_the_others(&[0.9, 0.5, 0.5, 0.5]), 1);
        assert_eq!(best_of_the_others(&[0.9]), 0);
    }
}
