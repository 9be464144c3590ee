//! Integration tests of clip-text, one binary.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod checkpoints;
mod features;
mod support;
mod tokens;
