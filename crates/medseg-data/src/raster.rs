//! Decoded pixels: [`Image`] (8-bit, grey or colour) and [`Mask`] (foreground or background, a bit a pixel).

use medseg_metrics::Mask;

pub use sam_preprocess::Image;

/// A mask as a grey image of zeros and ones, which every transform of images takes as well.
pub(crate) fn plane_of(mask: &Mask) -> Image {
    Image::from_parts(mask.width(), mask.height(), 1, mask.to_bytes())
}

/// The mask that a grey image of zeros and ones stands for.
pub(crate) fn mask_of(plane: &Image) -> Mask {
    Mask::from_bytes(plane.height(), plane.width(), plane.data()).expect("a plane that was a mask has a mask's size")
}

/// Width and height of a mask in pixels, in the order of [`Image::size`].
pub(crate) fn size_of(mask: &Mask) -> (usize, usize) {
    (mask.width(), mask.height())
}
