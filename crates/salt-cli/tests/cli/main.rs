//! The command line from the outside, one binary.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a failing test may panic")]

mod data;
mod evaluate;
#[cfg(unix)]
mod kills;
mod predict;
mod reproduce;
#[cfg(unix)]
mod support;
mod train;
