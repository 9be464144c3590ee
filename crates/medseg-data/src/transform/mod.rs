//! From decoded pixels to normalised tensors, image and mask always in step.
//!
//! [`Pipeline`] adds masks and augmentation to the way of an image to the network that [`sam_preprocess`] defines
//! ([`Preprocess`]). It runs one of four named protocols: [`Protocol::Default`] is Segment Anything's own preprocessing with binary masks
//! and moderate augmentation; [`Protocol::Sam2`] and [`Protocol::MedSam`] the same with those models' stretch to the square and MedSAM's values; [`Protocol::Paper`] repeats the
//! released code of the SALT paper, quirks included, so that its numbers can be checked. [`ResizeGeometry`] brings predictions back to the pixels of the original image.

mod augment;
mod colour;
mod pipeline;
mod resize;
mod rotate;
mod warp;

pub use augment::{Augmentation, Elastic, Jitter};
pub use colour::{adjust_brightness, adjust_contrast};
pub use pipeline::{Item, Pipeline, Prepared};
pub(crate) use resize::{resize_plane, resize_soft};
pub use rotate::{flip_horizontal, flip_vertical, rotate_image};
pub use sam_preprocess::{
    FinishedRows, Mosaic, Preprocess, Protocol, ResizeGeometry, Tile, TileGrid, Tiling, resize_image,
};
