//! Integration tests of sam-model, one binary.

mod automatic;
mod checkpoints;
mod configuration;
mod gradients;
mod hostile;
mod parity;
mod predictor;
mod support;
mod variants;
