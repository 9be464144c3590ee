//! Integration tests of seg-baselines, one binary.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod checkpoints;
mod configuration;
mod counts;
mod encoders;
mod hostile;
mod initialisation;
mod limits;
mod parity;
mod support;
mod training;
