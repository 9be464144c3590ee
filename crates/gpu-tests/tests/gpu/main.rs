//! The GPU path, run: on any adapter that wgpu finds, a software device included.
//!
//! Two kinds of tests. Those of `sam-model` and `salt-peft` that compare with the originals' numbers are compiled here once more; they ask
//! Burn for its default device, which is the GPU where that backend is built in, and keep their tolerances. The others compare with
//! the CPU, within the tolerances of [`tolerance`].

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod devices;
mod half;
mod layers;
mod losses;
mod peft;
mod predict;
mod resume;
mod runs;
mod sam;
mod support;
mod tolerance;
mod training;
