//! What the tests share.

use std::path::PathBuf;

use burn::tensor::Device;
use sam_model::{Sam, SamConfig};

/// A file of the reference set: in `SALT_PARITY_DIR` if that is set, else the copy beside the tests.
pub fn fixture(name: &str) -> PathBuf {
    match std::env::var_os("SALT_PARITY_DIR") {
        Some(folder) => PathBuf::from(folder).join(name),
        None => PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name),
    }
}

/// The reference model's configuration (original argument names; 4 decoder heads).
pub fn tiny_config() -> SamConfig {
    let json = std::fs::read_to_string(fixture("sam_tiny.json")).unwrap();
    serde_json::from_str(&json).unwrap()
}

/// The reference model.
pub fn tiny_sam(device: &Device) -> Sam {
    let checkpoint = sam_model::Checkpoint::open(fixture("sam_tiny.safetensors")).unwrap();
    checkpoint.load(&tiny_config(), device).unwrap().0
}
