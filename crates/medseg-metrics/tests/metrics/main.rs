//! Integration tests, in one binary.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a failing test may panic")]

mod errors;
mod evaluator;
mod fixtures;
mod folders;
mod golden;
mod ignored;
mod laws;
mod segments;
mod skeleton;
mod statistics;
mod tables;
#[cfg(feature = "burn")]
mod training;
