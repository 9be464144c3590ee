//! The parity fixtures and gradients of `sam-model`: of SAM and of SAM 2.

/// Where the committed reference files lie.
const FIXTURES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../sam-model/tests/fixtures");

#[path = "../../../sam-model/tests/sam_model/gradients.rs"]
mod gradients;
#[path = "../../../sam-model/tests/sam_model/parity.rs"]
mod parity;
#[path = "../../../sam-model/tests/sam_model/sam2_gradients.rs"]
mod sam2_gradients;
#[path = "../../../sam-model/tests/sam_model/sam2_parity.rs"]
mod sam2_parity;
#[allow(dead_code, reason = "other tests of that crate use the rest")]
#[path = "../../../sam-model/tests/sam_model/support.rs"]
mod support;
