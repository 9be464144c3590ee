//! What the tests share.

use std::path::PathBuf;

use burn::tensor::{Device, Tensor};
use sam_model::{Sam, SamConfig};

/// A file of the reference set: in `SALT_PARITY_DIR` if that is set, else the copy beside the tests.
pub(crate) fn fixture(name: &str) -> PathBuf {
    match std::env::var_os("SALT_PARITY_DIR") {
        Some(folder) => PathBuf::from(folder).join(name),
        None => PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name),
    }
}

/// A file of this crate alone.
pub(crate) fn fixture_beside_tests(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name)
}

/// The reference model's configuration (original argument names; 4 decoder heads).
pub(crate) fn tiny_config() -> SamConfig {
    let json = std::fs::read_to_string(fixture("sam_tiny.json")).unwrap();
    serde_json::from_str(&json).unwrap()
}

/// The reference model.
pub(crate) fn tiny_sam(device: &Device) -> Sam {
    let checkpoint = sam_model::Checkpoint::open(fixture("sam_tiny.safetensors")).unwrap();
    checkpoint.load(&tiny_config(), device).unwrap().0
}

/// Fails unless both tensors have one shape and differ by at most `tolerance` everywhere.
pub(crate) fn close<const D: usize>(a: Tensor<D>, b: Tensor<D>, tolerance: f32) {
    assert_eq!(a.dims(), b.dims());
    let largest = (a - b).abs().max().into_scalar::<f32>();
    assert!(largest <= tolerance, "the largest difference is {largest}, more than {tolerance}");
}
