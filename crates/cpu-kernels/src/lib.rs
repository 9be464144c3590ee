//! The inner loops of vision transformers and convolutional networks on a CPU: products of matrices, attention, convolutions,
//! normalisation, activations, the optimiser's step, and the gradients of all of them.
//!
//! Each function takes slices of `f32`, uses every thread of the current rayon pool and the vector instructions that the machine has
//! ([`Isa`]), and returns a fresh vector. Three things hold for all of them:
//!
//! * *The bits of a result do not depend on the number of threads.* Work is split by the shapes alone, and partial sums are added in
//!   a fixed order. They do depend on the instruction set.
//! * *NaN and infinity pass through.* What is not a number in an operand is not a number in every result that it takes part in.
//! * *Nothing is allocated twice.* Results are not zeroed before they are written, and no attention keeps its scores: the gradient
//!   computes them again.
//!
//! ```
//! use cpu_kernels::{Before, LastTerm, Matrix, Precision, product};
//!
//! // A linear layer on three tokens of two channels, and its activation.
//! let tokens = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0];
//! let weight = [0.5, -1.0, 0.0, 1.0, 0.25, 2.0, -0.5, 0.0];
//! let (x, w) = (Matrix::new(&tokens, 3, 2), Matrix::new(&weight, 2, 4));
//! let before = Before::Bias(&[0.0, 1.0, 0.0, -1.0]);
//! let [y, activated] = LastTerm { before, a: x, b: w.into(), precision: Precision::F32 }.sum_and_gelu();
//! assert_eq!(y[..4], [1.0, 4.0, -1.0, 0.0]);
//! assert!((activated[0] - 0.841_344_7).abs() < 1e-6);
//!
//! // The gradient of the weight is xᵀ dy: transposing a view copies nothing.
//! let dy = [1.0; 12];
//! let d_weight = product(x.transposed(), Matrix::new(&dy, 3, 4), Precision::F32);
//! assert_eq!(d_weight[..4], [9.0; 4]);
//! ```

mod adamw;
mod allocator;
#[cfg(target_arch = "x86_64")]
mod amx;
mod attention;
mod batch_norm;
#[cfg(target_arch = "x86_64")]
mod bf16;
mod channels;
mod check;
mod columns;
mod convolution;
#[cfg(target_arch = "x86_64")]
mod dot;
mod elementwise;
mod file_backed;
mod gelu;
mod halve;
mod isa;
mod layer_norm;
mod math;
mod matrix;
mod memory;
mod pack;
mod precision;
mod prelu;
mod product;
mod reorder;
mod scratch;
mod tile;
mod vectorise;

pub use adamw::{AdamWStep, adamw};
pub use allocator::{give_back_freed_memory, keep_freed_memory};
pub use attention::{
    Attended, AttentionShape, RelativePositions, SelfAttentionGradients, cross_attention, cross_attention_backward,
    self_attention, self_attention_backward,
};
pub use batch_norm::{BatchNormed, batch_norm, batch_norm_backward, batch_norm_by};
pub use channels::channel_sums;
pub use columns::{column_dots, column_sums, scale_columns};
pub use convolution::Convolution;
pub use elementwise::{add, add_assign};
pub use file_backed::FileBacked;
pub use gelu::{gelu, gelu_backward};
pub use halve::{halve_by_maximum, halve_by_maximum_backward};
pub use isa::Isa;
pub use layer_norm::{layer_norm, layer_norm_backward};
pub use matrix::Matrix;
pub use precision::{KernelError, Precision};
pub use prelu::{prelu, prelu_backward};
pub use product::{Before, LastTerm, Packed, RightFactor, product};
pub use reorder::in_order;

/// The example of the readme is a test.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
