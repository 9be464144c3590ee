//! `cargo xtask parity` from the outside.

use assert_cmd::Command;
use predicates::prelude::*;
use predicates::str::contains;
use std::path::{Path, PathBuf};

/// A file of the model crate's reference set.
fn fixture(name: &str) -> PathBuf {
    match std::env::var_os("SALT_PARITY_DIR") {
        Some(folder) => PathBuf::from(folder).join(name),
        None => Path::new(env!("CARGO_MANIFEST_DIR")).join("../crates/sam-model/tests/fixtures").join(name),
    }
}

fn xtask() -> Command {
    Command::new(env!("CARGO_BIN_EXE_xtask"))
}

#[test]
fn parity_prints_every_stage_and_fails_beyond_its_tolerance() {
    let parity = |weights: &str| {
        let mut command = xtask();
        command.arg("parity").arg("--weights").arg(fixture(weights));
        command.arg("--config").arg(fixture("sam_tiny.json")).arg("--io").arg(fixture("sam_tiny_io.safetensors"));
        command
    };
    parity("sam_tiny.pth").assert().success().stdout(contains("small.enc.block3").and(contains("points_box.full")));
    let output = parity("sam_tiny.safetensors").arg("--json").output().unwrap();
    let stages: Vec<serde_json::Value> = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(stages.len(), 49);
    assert!(stages.iter().all(|stage| stage["absolute"].as_f64().unwrap() <= 1e-4));
    parity("sam_tiny.pth").args(["--tolerance", "1e-12"]).assert().code(1).stderr(contains("stages differ"));
    // The shapes do not show the number of decoder heads: without the configuration, the masks are wrong and it says so.
    let mut guessed = xtask();
    guessed.arg("parity").arg("--weights").arg(fixture("sam_tiny.pth"));
    guessed.arg("--io").arg(fixture("sam_tiny_io.safetensors")).assert().code(1).stderr(contains("points.low_res"));
    parity("sam_tiny_io.safetensors").assert().code(1).stderr(contains("missing").and(contains("unexpected")));
}

/// SAM 2, with the configuration in the argument names of Meta's code.
#[test]
fn parity_of_a_sam2_takes_the_originals_arguments() {
    let parity = |weights: &str, io: &str| {
        let mut command = xtask();
        command.arg("parity").arg("--weights").arg(fixture(weights));
        command.arg("--config").arg(fixture("sam2_tiny.json")).arg("--io").arg(fixture(io));
        command
    };
    let good = contains("enc.block6.attn").and(contains("points.upscaled2"));
    parity("sam2_tiny.pt", "sam2_tiny_io.safetensors").assert().success().stdout(good);
    parity("sam_tiny.pth", "sam_tiny_io.safetensors").assert().code(1).stderr(contains("expected a SAM 2"));
}
