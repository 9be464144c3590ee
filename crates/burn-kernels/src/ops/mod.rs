//! The operations: what they compute, and whether the fused or the plain way is taken.

mod attention;
mod convolution;
mod linear;
mod maps;
mod optimizer;
mod order;
mod pointwise;

pub use attention::{Heads, RelativeTables, cross_attention, self_attention};
pub use convolution::{conv_transpose2d, conv2d};
pub use linear::{Ending, LinearTerms, Scaled, linear};
pub use maps::{batch_norm, batch_norm_train, halve_by_maximum, prelu};
pub use optimizer::{AdamW, Moments};
pub use order::permute;
pub use pointwise::{gelu, layer_norm};

#[cfg(feature = "cpu")]
use burn::tensor::{DType, Tensor};
#[cfg(feature = "cpu")]
use std::sync::OnceLock;

/// The environment variable that switches the kernels off (`SALT_KERNELS=off`): everything is composed of Burn's operations then.
#[cfg(feature = "cpu")]
const SWITCH: &str = "SALT_KERNELS";

/// Whether the kernels of the CPU serve this tensor.
#[cfg(feature = "cpu")]
pub(crate) fn is_fused<const D: usize>(x: &Tensor<D>) -> bool {
    static OFF: OnceLock<bool> = OnceLock::new();
    if *OFF.get_or_init(|| std::env::var_os(SWITCH).is_some_and(|value| value == "off")) {
        return false;
    }
    crate::precision::is_cpu(&x.device()) && x.dtype() == DType::F32 && x.shape().num_elements() > 0
}

/// Without the CPU's backend nothing is fused.
#[cfg(not(feature = "cpu"))]
pub(crate) fn is_fused<const D: usize>(_: &burn::tensor::Tensor<D>) -> bool {
    false
}
