//! Tests of salt-peft through its public interface, on models that know nothing of it.

#![allow(clippy::panic, reason = "a test fails by panicking")]

mod conformance;
mod exchange;
mod forms;
mod golden_layers;
mod naming;
mod shapes;
mod support;
