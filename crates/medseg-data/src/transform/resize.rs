//! Masks, as grey images of zeros and ones, resized in step with their images.

use crate::raster::Image;
use sam_preprocess::{resize_image, resize_to_floats};

/// Resizes a mask with the filter of [`resize_image`]; a pixel is 1 when at least half of it is covered.
pub(crate) fn resize_plane(plane: &Image, width: usize, height: usize) -> Image {
    let target = (width.max(1), height.max(1));
    if plane.size() == target {
        return plane.clone();
    }
    let white = plane.data().iter().map(|v| v * 255).collect();
    let white = Image::from_parts(plane.width(), plane.height(), 1, white);
    let covered = resize_image(&white, target.0, target.1).into_data();
    Image::from_parts(target.0, target.1, 1, covered.into_iter().map(|v| u8::from(v >= 128)).collect())
}

/// Resizes a mask with the same filter and keeps the covered share of every pixel, 0 to 1, `[height, width]`: the soft masks of the
/// paper's protocol.
pub(crate) fn resize_soft(plane: &Image, width: usize, height: usize) -> Vec<f32> {
    resize_to_floats(plane, width, height)
}
