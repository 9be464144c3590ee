//! From the decoder's logits to masks in the images' own pixels.

use burn::tensor::Tensor;
use burn::tensor::activation::sigmoid;
use rayon::prelude::*;
use sam_preprocess::{Preprocess, Protocol, ResizeGeometry, RestoredMask, logit};

use crate::{SamError, upsample_logits};

/// Mask logits `[N, masks, h, w]`, at any resolution of the square input, in the pixels of the images that they are about: for
/// each of the `N` entries its masks, each with its logits and its foreground.
///
/// `geometries` tells where each entry's image lay in the input. The logits are upsampled to the input's size on their device
/// ([`upsample_logits`]), then the padding is cut off and the rest interpolated to the original size on the host, and the protocol
/// decides what is foreground ([`Preprocess::restore`]). Training's evaluation and [`SamPredictor`](crate::SamPredictor) both
/// end here, so a mask is the same bits in both. Under [`Protocol::Sam2`] and [`Protocol::MedSam`] they go straight to the original size,
/// as in the originals ([`logits_at`]).
///
/// # Errors
/// [`SamError::Shape`] unless there is one geometry per entry; [`SamError::Value`] for logits that are not f32 on the host;
/// [`SamError::Preprocess`] for a geometry of another input size, and for logits that are not numbers.
pub fn restore_masks(
    logits: Tensor<4>,
    preprocess: &Preprocess,
    geometries: &[ResizeGeometry],
) -> Result<Vec<Vec<RestoredMask>>, SamError> {
    let side = preprocess.size();
    let [entries, masks, _, _] = logits.dims();
    if geometries.len() != entries {
        return Err(SamError::shape("geometries", format!("one for each of {entries} entries"), &[geometries.len()]));
    }
    if matches!(preprocess.protocol(), Protocol::Sam2 | Protocol::MedSam) {
        return restore_directly(logits, preprocess, geometries);
    }
    let data = upsample_logits(logits, [side, side]).into_data().convert::<f32>();
    let values = data.as_slice::<f32>().map_err(|e| SamError::value("logits", "f32 values", format!("{e:?}")))?;
    let restored: Vec<RestoredMask> = values
        .par_chunks_exact(side * side)
        .enumerate()
        .map(|(index, square)| preprocess.restore(&geometries[index / masks], square))
        .collect::<Result<_, _>>()?;
    let mut restored = restored.into_iter();
    Ok((0..entries).map(|_| restored.by_ref().take(masks).collect()).collect())
}

/// Mask logits `[N, masks, h, w]` at another size, `[N, masks, height, width]` on the host, interpolated bilinearly: the logits, or where the
/// protocol says so their probabilities ([`Protocol::interpolates_probabilities`]).
///
/// # Errors
/// [`SamError::Value`] for logits that are not f32 on the host.
pub fn logits_at(logits: Tensor<4>, protocol: Protocol, size: [usize; 2]) -> Result<Vec<f32>, SamError> {
    let as_probabilities = protocol.interpolates_probabilities();
    let values = if as_probabilities { sigmoid(logits) } else { logits };
    let values = upsample_logits(values, size).into_data().convert::<f32>().try_into_vec::<f32>();
    let values = values.map_err(|e| SamError::value("logits", "f32 values", format!("{e:?}")))?;
    Ok(if as_probabilities { values.into_iter().map(logit).collect() } else { values })
}

/// Straight from the decoder's resolution to the images' own.
fn restore_directly(
    logits: Tensor<4>,
    preprocess: &Preprocess,
    geometries: &[ResizeGeometry],
) -> Result<Vec<Vec<RestoredMask>>, SamError> {
    let restore = |(entry, geometry): (usize, &ResizeGeometry)| {
        if geometry.side != preprocess.size() {
            let expected = format!("made for inputs of {} px", preprocess.size());
            return Err(SamError::value("geometry", expected, format!("one of {} px", geometry.side)));
        }
        let (width, height) = geometry.original;
        let values = logits_at(logits.clone().narrow(0, entry, 1), preprocess.protocol(), [height, width])?;
        let decide = |logits: &[f32]| {
            let mask = preprocess.protocol().decide(height, width, logits)?;
            Ok(RestoredMask { mask, logits: logits.to_vec() })
        };
        values.chunks_exact(height * width).map(decide).collect()
    };
    geometries.iter().enumerate().map(restore).collect()
}
