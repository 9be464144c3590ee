//! Masks resized in step with their images.

use crate::raster::{Image, Mask};
use sam_preprocess::{resize_image, resize_to_floats};

/// Resizes a mask with the filter of [`resize_image`]; a pixel is foreground when at least half of it is covered.
pub fn resize_mask(mask: &Mask, width: usize, height: usize) -> Mask {
    let target = (width.max(1), height.max(1));
    if mask.size() == target {
        return mask.clone();
    }
    let white = grey(mask, 255);
    let covered = resize_image(&white, target.0, target.1).into_data();
    Mask::from_parts(target.0, target.1, covered.into_iter().map(|v| u8::from(v >= 128)).collect())
}

/// Resizes a mask with the same filter and keeps the covered share of every pixel, 0 to 1, `[height, width]`: the soft masks
/// of the paper's protocol.
pub fn resize_soft(mask: &Mask, width: usize, height: usize) -> Vec<f32> {
    resize_to_floats(&grey(mask, 1), width, height)
}

/// The mask as an image: black, and `level` where it is foreground.
fn grey(mask: &Mask, level: u8) -> Image {
    Image::from_parts(mask.width(), mask.height(), 1, mask.data().iter().map(|v| v * level).collect())
}
