//! Every stage of the reference model, from every kind of file.

use burn::tensor::Device;
use sam_model::Checkpoint;
use sam_model::parity::compare_with_reference;

use super::support::{fixture, tiny_config};

const TOLERANCE: f64 = 1e-4;

fn check(weights: &str, device: &Device) {
    let checkpoint = Checkpoint::open(fixture(weights)).unwrap();
    let (sam, report) = checkpoint.load(&tiny_config(), device).unwrap();
    assert_eq!(report.loaded, 202);
    let stages = compare_with_reference(&sam, fixture("sam_tiny_io.safetensors"), device).unwrap();
    for stage in &stages {
        eprintln!("{weights} {:<24} {:.2e} {:.2e}", stage.stage, stage.absolute, stage.relative);
        assert!(stage.within(TOLERANCE), "{stage:?}");
    }
    // Encoder at two sizes (7 stages each), dense positions, and seven stages of five prompts, one without sparse tokens.
    assert_eq!(stages.len(), 7 + 7 + 1 + 5 * 7 - 1);
}

#[test]
fn from_the_original_file() {
    check("sam_tiny.pth", &Device::default());
}

#[test]
fn from_safetensors() {
    check("sam_tiny.safetensors", &Device::default());
}

#[test]
fn from_hugging_face() {
    check("hf_sam_tiny/model.safetensors", &Device::default());
}

/// With gradients, attention takes another path; the numbers must not.
#[test]
fn with_gradients_recorded() {
    check("sam_tiny.safetensors", &Device::default().autodiff());
}

/// References that are too large for the repository: every folder named in `SAM_REFERENCES` (separated as in `PATH`), each as
/// `sam_tiny.py` writes it.
#[test]
fn from_other_references() {
    let Some(folders) = std::env::var_os("SAM_REFERENCES") else {
        eprintln!("skipped: SAM_REFERENCES names no folders");
        return;
    };
    for folder in std::env::split_paths(&folders) {
        let json = std::fs::read_to_string(folder.join("sam_tiny.json")).unwrap();
        let config = serde_json::from_str(&json).unwrap();
        for weights in ["sam_tiny.pth", "sam_tiny.safetensors"] {
            let device = Device::default();
            let start = std::time::Instant::now();
            let checkpoint = Checkpoint::open(folder.join(weights)).unwrap();
            let (sam, _) = checkpoint.load(&config, &device).unwrap();
            let loaded = start.elapsed();
            let stages = compare_with_reference(&sam, folder.join("sam_tiny_io.safetensors"), &device).unwrap();
            eprintln!("{} {weights}: loaded in {loaded:.2?}, {} stages", folder.display(), stages.len());
            for stage in &stages {
                eprintln!("  {:<24} {:.2e} {:.2e}", stage.stage, stage.absolute, stage.relative);
            }
            let beyond: Vec<_> = stages.iter().filter(|stage| !stage.within(TOLERANCE)).collect();
            assert!(beyond.is_empty(), "{beyond:#?}");
        }
    }
}
