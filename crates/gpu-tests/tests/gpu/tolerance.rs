//! How far the GPU may be from the CPU, once for all tests.
//!
//! Both compute in `f32`; sums are added in another order, and exponentials and error functions are the driver's. The tests print what they
//! find; docs/reliability.md lists it.

/// Outputs and gradients of a layer or a loss: the norm of the difference over the norm of the CPU's result.
pub(crate) const LAYER: f64 = 1e-5;

/// A probability of a mask: one grey level of the file that `predict` writes.
pub(crate) const PROBABILITY: f64 = 1.0 / 255.0;

/// Share of the pixels that may change sides.
pub(crate) const PIXELS: f64 = 1e-4;

/// A loss after some steps of a training, as a share of the CPU's. Every step adds its rounding to those before it.
pub(crate) const LOSS: f64 = 1e-4;

/// A Dice after some steps of a training: a few pixels of small masks that change sides.
pub(crate) const DICE: f64 = 5e-3;

/// Outputs and gradients of a linear layer with factors and products in f16: eleven bits, rounded several times.
pub(crate) const HALF: f64 = 3e-3;

/// A loss after some steps with these.
pub(crate) const HALF_LOSS: f64 = 1e-2;
