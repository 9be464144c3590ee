//! Trainings whose devices are served by other processes of this machine: `salt serve-device` and `remote:HOST:PORT`.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a failing test may panic")]

mod gradients;
mod lost;
mod place;
mod scripts;
mod server;
mod training;
