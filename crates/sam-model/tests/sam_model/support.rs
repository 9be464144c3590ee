//! What the tests share.

use std::path::PathBuf;

use burn::module::Param;
use burn::tensor::{Device, Tensor, TensorData};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;
use rand_distr::{Distribution, StandardNormal};
use sam_model::{AutomaticPrompt, Sam, SamConfig};

/// The reference model in every kind of file, with its configuration and what the original computes from it. They belong together:
/// other weights have other files throughout.
const FAMILY: [&str; 6] = [
    "sam_tiny.json",
    "sam_tiny.pth",
    "sam_tiny.safetensors",
    "sam_tiny_io.safetensors",
    "hf_sam_tiny/config.json",
    "hf_sam_tiny/model.safetensors",
];

/// The same of the reference SAM 2.
const SAM2_FAMILY: [&str; 6] = [
    "sam2_tiny.json",
    "sam2_tiny.pt",
    "sam2_tiny.safetensors",
    "sam2_tiny_io.safetensors",
    "hf_sam2_tiny/config.json",
    "hf_sam2_tiny/model.safetensors",
];

/// The reference files of one test, all from one folder: from `SALT_PARITY_DIR` if that has every one of them, else the copies beside
/// the tests.
pub(crate) struct FixtureSet {
    folder: PathBuf,
}

impl FixtureSet {
    /// The reference model's files and others that were computed from them.
    pub(crate) fn with(others: &[&str]) -> Self {
        Self::having(&[&FAMILY, others].concat())
    }

    /// The files of the reference SAM 2.
    pub(crate) fn sam2() -> Self {
        Self::having(&SAM2_FAMILY)
    }

    /// The same with others that were computed from them.
    pub(crate) fn sam2_with(others: &[&str]) -> Self {
        Self::having(&[&SAM2_FAMILY, others].concat())
    }

    fn having(names: &[&str]) -> Self {
        let committed = PathBuf::from(super::FIXTURES);
        let Some(given) = std::env::var_os("SALT_PARITY_DIR").map(PathBuf::from) else {
            return Self { folder: committed };
        };
        match names.iter().find(|name| !given.join(name).is_file()) {
            None => Self { folder: given },
            Some(name) => {
                eprintln!("{} has no {name}: the committed files are used, all of them", given.display());
                Self { folder: committed }
            }
        }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// The reference model's configuration (original argument names; 4 decoder heads).
    pub(crate) fn config(&self) -> SamConfig {
        serde_json::from_str(&std::fs::read_to_string(self.path("sam_tiny.json")).unwrap()).unwrap()
    }

    /// The reference model.
    pub(crate) fn model(&self, device: &Device) -> Sam {
        let checkpoint = sam_model::Checkpoint::open(self.path("sam_tiny.safetensors")).unwrap();
        checkpoint.load(&self.config(), device).unwrap().0
    }
}

/// A file of the reference SAM 2.
pub(crate) fn sam2_fixture(name: &str) -> PathBuf {
    assert!(SAM2_FAMILY.contains(&name), "{name} is no file of the reference SAM 2");
    FixtureSet::sam2().path(name)
}

/// The reference SAM 2's configuration, from the argument names of the script that made it.
pub(crate) fn tiny_sam2_config() -> SamConfig {
    SamConfig::read(sam2_fixture("sam2_tiny.json")).unwrap()
}

/// The reference SAM 2.
pub(crate) fn tiny_sam2(device: &Device) -> Sam {
    let checkpoint = sam_model::Checkpoint::open(sam2_fixture("sam2_tiny.pt")).unwrap();
    checkpoint.load(&tiny_sam2_config(), device).unwrap().0
}

/// A file of the reference model.
pub(crate) fn fixture(name: &str) -> PathBuf {
    assert!(FAMILY.contains(&name), "{name} is no file of the reference model: ask for a set with it");
    FixtureSet::with(&[]).path(name)
}

/// The reference model's configuration.
pub(crate) fn tiny_config() -> SamConfig {
    FixtureSet::with(&[]).config()
}

/// The reference model.
pub(crate) fn tiny_sam(device: &Device) -> Sam {
    FixtureSet::with(&[]).model(device)
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
