//! Integration tests of sam-preprocess, one binary.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod conversion;
mod medsam;
mod original;
mod properties;
mod restoring;
mod tiles;
