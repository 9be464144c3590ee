//! The GPU path against the CPU, and against the original's numbers.
//!
//! The crate is one test binary, `tests/gpu`, behind the feature `wgpu`: without it nothing here is compiled, so that no other command pays
//! for the GPU backend.
