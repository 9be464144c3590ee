//! The engine on a tiny SAM and a few synthetic images: exact resuming, determinism, every method.

#![allow(clippy::unwrap_used)]

mod at_rest;
mod bundle;
mod checkpointing;
mod embeddings;
mod give_up;
mod ignored;
mod resume;
mod sam2;
mod support;
