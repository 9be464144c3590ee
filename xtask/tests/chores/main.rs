//! The chores from the outside, one binary.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a failing test may panic")]

mod ci;
mod one_build;
mod packages;
mod params;
mod parity;
mod pretrain;
mod workspace;
