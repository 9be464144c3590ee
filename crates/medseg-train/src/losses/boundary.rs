//! The boundary loss: probability mass weighted by its signed distance to where the boundary should be.

use super::ignored::mean;
use crate::error::{Result, TrainError};
use burn::tensor::{Tensor, TensorData, activation};
use medseg_metrics::{Mask, Spacing, distance_to};

/// Signed distance in px from every pixel of a row-major mask to its boundary: positive outside, negative inside, 0 on the
/// innermost ring of boundary pixels (Kervadec et al. 2019). All zero for a mask that is empty or full, which has no boundary.
///
/// # Errors
/// `mask` does not hold `height * width` values, or a side is 0.
pub fn signed_distance(mask: &[bool], height: usize, width: usize) -> Result<Vec<f32>> {
    let mask = Mask::from_bools(height, width, mask)?;
    let background = mask.complement();
    if mask.is_empty() || background.is_empty() {
        return Ok(vec![0.0; height * width]);
    }
    let outside = distance_to(&mask, Spacing::pixels());
    let inside = distance_to(&background, Spacing::pixels());
    let signed = outside.values().iter().zip(inside.values());
    Ok(signed.map(|(&out, &within)| if within > 0.0 { 1.0 - within } else { out } as f32).collect())
}

/// The boundary loss: mean over pixels of `sigmoid(logits)` times the signed distance in px to the target's boundary.
///
/// It can be negative, and it is small where the prediction overlaps; add it to a regional loss such as Dice. Targets are
/// thresholded at 0.5. `logits`, `target`: `[batch, labels, height, width]`; `ignored`: `[batch, 1, height, width]`, 1 where a pixel
/// does not count, `None` where all do; returns shape `[1]`.
///
/// # Errors
/// The target cannot be read back from its device.
pub fn boundary(logits: Tensor<4>, target: Tensor<4>, ignored: Option<&Tensor<4>>) -> Result<Tensor<1>> {
    let dims = target.dims();
    let [_, _, height, width] = dims;
    let device = logits.device();
    let values = target
        .into_data()
        .convert::<f32>()
        .try_to_vec::<f32>()
        .map_err(|error| TrainError::Model(format!("the target cannot be read: {error:?}")))?;
    let mut map = Vec::with_capacity(values.len());
    for plane in values.chunks_exact(height * width) {
        let mask: Vec<bool> = plane.iter().map(|&value| value > 0.5).collect();
        map.extend(signed_distance(&mask, height, width)?);
    }
    let map = Tensor::<4>::from_data(TensorData::new(map, dims), &device.inner());
    let map = if logits.is_autodiff() { Tensor::from_inner(map) } else { map };
    Ok(mean(activation::sigmoid(logits) * map, ignored))
}
