//! Building blocks that Burn does not have in the form SAM's checkpoints need.

mod layer_norm;
mod mlp;
mod patches;
mod resample;

pub use layer_norm::LayerNorm;
pub use mlp::Mlp;
pub(crate) use patches::{double_pixels, patch_convolution, pointwise_convolution};
pub(crate) use resample::{Resample, bilinear_resize, resize_positions, resize_rows_linear};
