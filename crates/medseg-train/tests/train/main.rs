//! The engine on a tiny SAM and a few synthetic images: exact resuming, determinism, every method, the whole comparison.

#![allow(clippy::unwrap_used)]

mod comparison;
mod resume;
mod support;
