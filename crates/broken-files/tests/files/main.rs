//! Every reader over its corpus and mutations of it, each in a process of its own whose memory is limited.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a failing test may panic")]

mod corpus;
mod memory;
