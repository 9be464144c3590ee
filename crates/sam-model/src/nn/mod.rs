//! Building blocks that Burn does not have in the form SAM's checkpoints need.

mod alternatives;
mod layer_norm;
mod mlp;
mod patches;
mod resample;
mod windows;

pub(crate) use alternatives::alternatives;
pub use layer_norm::LayerNorm;
pub use mlp::Mlp;
pub(crate) use patches::{double_pixels, patch_convolution, pointwise_convolution, pointwise_map};
pub(crate) use resample::{Resample, bilinear_resize, resize_positions, resize_rows_linear};
pub(crate) use windows::{cut_windows, join_windows, project_whole_windows};
