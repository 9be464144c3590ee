//! The engine on a tiny SAM and a few synthetic images: exact resuming, determinism, every method.

#![allow(clippy::unwrap_used)]

mod bundle;
mod clip;
mod ignored;
mod resume;
mod sam2;
mod support;
mod text;
