//! Tests of salt-peft through its public interface, on models that know nothing of it.

mod golden_layers;
mod support;
