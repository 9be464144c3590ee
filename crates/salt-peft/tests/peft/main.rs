//! Tests of salt-peft through its public interface, on models that know nothing of it.

#![allow(clippy::panic, reason = "a test fails by panicking")]

mod basis;
mod config;
mod conformance;
mod exchange;
mod forms;
mod golden_layers;
mod initial;
mod naming;
mod peft_files;
mod shapes;
mod support;
mod values;

/// Where the committed golden files lie.
const FIXTURES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures");
