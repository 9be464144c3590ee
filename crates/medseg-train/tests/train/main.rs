//! The engine on a tiny SAM, tiny classic networks and a few synthetic images: exact resuming, determinism, every method.

#![allow(clippy::unwrap_used)]

mod at_rest;
mod bundle;
mod checkpointing;
mod clip;
mod embeddings;
mod give_up;
mod half;
mod ignored;
mod medsam;
mod networks;
mod numbers;
mod packed;
mod resume;
mod sam2;
mod support;
mod text;
mod tiles;
