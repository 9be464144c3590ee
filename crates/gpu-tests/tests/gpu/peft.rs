//! The golden layers of `salt-peft`.

/// Where the committed golden files lie.
const FIXTURES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../salt-peft/tests/fixtures");

#[path = "../../../salt-peft/tests/peft/golden_layers.rs"]
mod golden_layers;
#[allow(dead_code, reason = "other tests of that crate use the rest")]
#[path = "../../../salt-peft/tests/peft/support.rs"]
mod support;
