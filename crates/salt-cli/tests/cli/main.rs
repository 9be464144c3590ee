//! The command line from the outside, one binary.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a failing test may panic")]

#[path = "../../../medseg-train/tests/train/clip.rs"]
#[allow(dead_code, reason = "the engine's tests need more of it")]
mod clip;
mod data;
mod evaluate;
#[cfg(unix)]
mod kills;
mod memory;
mod predict;
#[cfg(unix)]
mod processes;
mod reproduce;
#[cfg(unix)]
mod support;
mod text;
mod train;
