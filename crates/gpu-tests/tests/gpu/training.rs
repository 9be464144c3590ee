//! A training by each method, from the first step on.

use super::runs::{Place, apart, on_its_layers};
use super::tolerance::{DICE, LOSS};
use salt_peft::{AdapterConfig, Method};

/// The rows of the paper's main table that this engine trains, and the decoder alone.
fn methods() -> Vec<(&'static str, AdapterConfig)> {
    let decoder = AdapterConfig { method: Method::Named, ..AdapterConfig::default() };
    vec![
        ("SALT", on_its_layers(AdapterConfig::salt(50, 4))),
        ("S-SAM", on_its_layers(AdapterConfig::svd())),
        ("LoRA", on_its_layers(AdapterConfig::lora(4, 4.0))),
        ("full", AdapterConfig { method: Method::Full, ..AdapterConfig::default() }),
        ("decoder", decoder.with_include([r"mask_decoder\.", r"prompt\."])),
    ]
}

/// One test: the methods share kernels, and would wait for each other's.
#[test]
fn every_method_learns_as_on_the_cpu() {
    let place = Place::new();
    for (name, adapter) in methods() {
        let curve = |device: &str, faster: f64| {
            let mut config = place.config(&adapter, device);
            config.training.learning_rate *= faster;
            let run = tempfile::tempdir().unwrap();
            place.finish(&config, run.path())
        };
        let (cpu, gpu) = (curve("cpu", 1.0), curve("wgpu", 1.0));
        let (loss, dice) = apart(&gpu, &cpu);
        eprintln!("{name}: losses {loss:.1e}, Dice {dice:.1e} away");
        assert!(loss <= LOSS && dice <= DICE, "{name}: losses {loss:e}, Dice {dice:e}; {gpu:?} against {cpu:?}");
        // The losses would tell: at half the learning rate they are others.
        let (other, _) = apart(&curve("cpu", 0.5), &cpu);
        assert!(other > 10.0 * LOSS, "{name}: the learning rate changes losses by {other:e}");
    }
}
