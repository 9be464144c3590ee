//! Integration tests of sam-model, one binary.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod automatic;
mod checkpoints;
mod configuration;
mod finite_differences;
mod gradients;
mod hostile;
mod original;
mod parity;
mod predictor;
mod sam2_checkpoints;
mod sam2_gradients;
mod sam2_gradients_in_doubles;
mod sam2_parity;
mod sam2_predictor;
mod support;
mod text_affine;
mod variants;

/// Where the committed reference files lie.
const FIXTURES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures");
