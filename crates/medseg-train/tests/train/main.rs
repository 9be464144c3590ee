//! The engine on a tiny SAM, tiny classic networks and a few synthetic images: exact resuming, determinism, every method.

#![allow(clippy::unwrap_used)]

mod bundle;
mod ignored;
mod networks;
mod resume;
mod sam2;
mod support;
