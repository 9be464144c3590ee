//! Integration tests of sam-model, one binary.

mod parity;
mod support;
