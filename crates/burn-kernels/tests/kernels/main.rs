//! The fused operations against the plain ones. Kernels serve `f32` only, so the same call in `f64` is the plain composition in a precision
//! that counts as exact.

#![allow(clippy::unwrap_used, reason = "a failing test may panic")]

mod attention;
mod convolution;
mod linear;
mod order;
mod pointwise;
mod set_aside;
mod support;
