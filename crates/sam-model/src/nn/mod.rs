//! Building blocks that Burn does not have in the form SAM's checkpoints need.

mod alternatives;
mod attention;
mod layer_norm;
mod mlp;
mod patches;
mod resample;

pub(crate) use alternatives::alternatives;
pub(crate) use attention::{attention, relative_bias_columns};
pub use layer_norm::LayerNorm;
pub use mlp::Mlp;
pub(crate) use patches::{double_pixels, patch_convolution, pointwise_convolution, pointwise_map};
pub(crate) use resample::{Resample, bilinear_resize, resize_positions, resize_rows_linear};
