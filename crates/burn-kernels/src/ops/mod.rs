//! The operations: what they compute, and whether the fused or the plain way is taken.

mod attention;
mod linear;
mod optimizer;
mod pointwise;

pub use attention::{Heads, RelativeTables, cross_attention, self_attention};
pub use linear::{LinearTerms, Scaled, linear};
pub use optimizer::{AdamW, Moments};
pub use pointwise::{gelu, layer_norm};

#[cfg(feature = "cpu")]
use burn::tensor::{DType, Tensor};

/// Whether the kernels of the CPU serve this tensor.
#[cfg(feature = "cpu")]
fn is_fused<const D: usize>(x: &Tensor<D>) -> bool {
    use burn::backend::DispatchDevice;
    let on_cpu = matches!(x.device().as_dispatch().clone().inner(), DispatchDevice::Flex(_));
    on_cpu && x.dtype() == DType::F32 && x.shape().num_elements() > 0
}
