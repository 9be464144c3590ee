//! The parity fixtures and gradients of `sam-model`.

/// Where the committed reference files lie.
const FIXTURES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../sam-model/tests/fixtures");

#[path = "../../../sam-model/tests/sam_model/gradients.rs"]
mod gradients;
#[path = "../../../sam-model/tests/sam_model/parity.rs"]
mod parity;
#[allow(dead_code, reason = "other tests of that crate use the rest")]
#[path = "../../../sam-model/tests/sam_model/support.rs"]
mod support;
