//! The command line from the outside, one binary.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a failing test may panic")]

mod data;
mod evaluate;
mod memory;
mod predict;
mod reproduce;
#[cfg(unix)]
mod support;
mod train;
