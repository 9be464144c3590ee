//! The whole comparison on a tiny SAM and a few synthetic images.

#![allow(clippy::unwrap_used)]

mod comparison;
#[path = "../../../medseg-train/tests/train/support.rs"]
#[allow(dead_code, reason = "the engine's tests need more of it")]
mod support;
