//! The layers of a transformer as functions of Burn tensors: a linear layer with its adapter, attention with relative positions, layer
//! normalisation, GELU; those of a convolutional network; and the optimiser's step.
//!
//! On a CPU each is one operation with its own backward pass, computed by the crate `cpu-kernels`: a bias, the GELU or the residual
//! connection behind a linear layer is part of its product, attention keeps no score matrix, and a frozen weight costs no gradient. On every other device, and for
//! other types than `f32`, the same functions compose Burn's own operations. Both give the same result up to the order of additions.
//!
//! A weight may be *reparameterised*: something hangs on it that replaces it by another one, such as the adapters of `salt-peft`. Whoever
//! attaches it can [answer](layer::answer) for the whole layer, in a form that is cheaper than building the replaced weight.
//! A model that calls [`layer::linear`] knows nothing of that.
//!
//! ```
//! use burn::nn::LinearConfig;
//! use burn::tensor::{Device, Distribution, Tensor};
//!
//! let device = Device::flex();
//! let layer = LinearConfig::new(32, 96).init(&device);
//! let x = Tensor::<3>::random([2, 16, 32], Distribution::Default, &device);
//! let qkv = burn_kernels::layer::linear(&layer, x);
//! let heads = burn_kernels::Heads { count: 4, grid: None };
//! let attended = burn_kernels::self_attention(qkv, heads, None);
//! assert_eq!(attended.dims(), [2, 16, 32]);
//! ```

#[cfg(feature = "cpu")]
mod fused;
pub mod layer;
mod ops;
mod packed;
mod plain;
mod precision;
mod set_aside;
mod stored;

#[cfg(feature = "cpu")]
pub use cpu_kernels::{give_back_freed_memory, keep_freed_memory};
pub use ops::{
    AdamW, Ending, Heads, LinearTerms, Moments, RelativeTables, Scaled, batch_norm, batch_norm_train, conv_transpose2d,
    conv2d, cross_attention, gelu, halve_by_maximum, layer_norm, linear, permute, prelu, self_attention,
};
pub use packed::{keep_packed, packed_bytes};
pub use precision::{
    Precision, PrecisionError, check as check_precision, check_on as check_precision_on, precision, use_precision,
};
pub use set_aside::{release_set_aside, set_aside};
pub use stored::Stored;

/// The example of the readme is a test.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
