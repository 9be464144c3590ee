//! What the tests share.

use std::path::PathBuf;

use burn::module::Param;
use burn::tensor::{Device, Tensor, TensorData};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;
use rand_distr::{Distribution, StandardNormal};
use sam_model::{AutomaticPrompt, Sam, SamConfig};

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

/// Standard normal numbers, the same in every run.
pub(crate) fn normal<const D: usize>(dims: [usize; D], seed: u64, device: &Device) -> Tensor<D> {
    let numbers = StandardNormal.sample_iter(ChaCha8Rng::seed_from_u64(seed));
    let values: Vec<f32> = numbers.take(dims.iter().product()).collect();
    Tensor::from_data(TensorData::new(values, dims), device)
}

/// A token per label, the same in every run.
pub(crate) fn automatic_prompt(labels: usize, channels: usize, device: &Device) -> AutomaticPrompt {
    let token = Param::from_data(normal([labels, channels], 1, device).into_data(), device);
    AutomaticPrompt { token, text_affine: None }
}

/// Fails unless both tensors have one shape and differ by at most `tolerance` everywhere.
pub(crate) fn close<const D: usize>(a: Tensor<D>, b: Tensor<D>, tolerance: f32) {
    assert_eq!(a.dims(), b.dims());
    let largest = (a - b).abs().max().into_scalar::<f32>();
    assert!(largest <= tolerance, "the largest difference is {largest}, more than {tolerance}");
}
