//! `cargo xtask predict` and `cargo xtask parity`, from the outside.

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
    Command::cargo_bin("xtask").unwrap()
}

fn picture(path: &Path, width: u32, height: u32) {
    image::RgbImage::from_fn(width, height, |x, y| image::Rgb([(x * 5) as u8, (y * 3) as u8, 90])).save(path).unwrap();
}

/// The reference model in a file that carries its configuration (its four decoder heads are not visible in the shapes).
fn checkpoint(folder: &Path) -> PathBuf {
    let config = std::fs::read_to_string(fixture("sam_tiny.json")).unwrap();
    let device = burn::tensor::Device::default();
    let config: sam_model::SamConfig = serde_json::from_str(&config).unwrap();
    let checkpoint = sam_model::Checkpoint::open(fixture("sam_tiny.pth")).unwrap();
    let path = folder.join("tiny.safetensors");
    checkpoint.load(&config, &device).unwrap().0.save(&path).unwrap();
    path
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

#[test]
fn a_folder_is_segmented_in_the_images_own_sizes_and_continued() {
    let folder = tempfile::tempdir().unwrap();
    let (images, out) = (folder.path().join("images"), folder.path().join("out"));
    std::fs::create_dir(&images).unwrap();
    picture(&images.join("a.png"), 70, 40);
    picture(&images.join("b.bmp"), 33, 57);
    std::fs::write(images.join("notes.txt"), "no image").unwrap();
    let weights = checkpoint(folder.path());
    let predict = || {
        let mut command = xtask();
        command.arg("predict").arg("--checkpoint").arg(&weights).arg("--image").arg(&images).arg("--out").arg(&out);
        command.args(["--points", "10,12", "20,3,0", "--box", "1,1,30,35"]);
        command
    };
    predict().assert().success().stdout(contains("2 written, 0 were there already"));
    for (stem, size) in [("a", (70, 40)), ("b", (33, 57))] {
        for kind in ["mask", "probability", "overlay"] {
            assert_eq!(image::image_dimensions(out.join(format!("{stem}_{kind}.png"))).unwrap(), size);
        }
    }
    let mask = image::open(out.join("a_mask.png")).unwrap().to_luma8();
    assert!(mask.pixels().all(|pixel| pixel[0] == 0 || pixel[0] == 255));

    // One result is gone: only its image is done again.
    std::fs::remove_file(out.join("b_overlay.png")).unwrap();
    predict().assert().success().stdout(contains("1 written, 1 were there already"));
    // A broken image is named, the others are done, the exit code says that something failed.
    std::fs::write(images.join("c.png"), b"\x89PNG broken").unwrap();
    predict().assert().code(1).stdout(contains("1 failed")).stderr(contains("c.png"));
    std::fs::remove_file(images.join("c.png")).unwrap();
    // Results of other settings are not mixed with these.
    predict().arg("--multimask").assert().code(1).stderr(contains("--overwrite"));
    predict().args(["--multimask", "--overwrite"]).assert().success().stdout(contains("2 written"));
    assert!(out.join("a_3_mask.png").is_file() && !out.join("a_mask.png").exists());
}

#[test]
fn automatic_prompts_write_one_mask_a_label() {
    let folder = tempfile::tempdir().unwrap();
    let (image, out, prompt) =
        (folder.path().join("i.png"), folder.path().join("o"), folder.path().join("p.safetensors"));
    picture(&image, 20, 20);
    let tokens = sam_model::AutomaticPrompt::learned(2, 32, &burn::tensor::Device::default());
    tokens.save(&prompt, &["artery".to_owned(), "vein".to_owned()]).unwrap();
    let weights = checkpoint(folder.path());
    let mut command = xtask();
    command.arg("predict").arg("--checkpoint").arg(&weights).arg("--image").arg(&image).arg("--out").arg(&out);
    command.arg("--prompt").arg(&prompt).args(["--input-size", "96"]);
    command.assert().success();
    assert!(out.join("i_artery_mask.png").is_file() && out.join("i_vein_mask.png").is_file());
}

#[test]
fn mistakes_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let image = folder.path().join("i.png");
    picture(&image, 20, 20);
    let weights = checkpoint(folder.path());
    let predict = |image: &Path| {
        let mut command = xtask();
        command.arg("predict").arg("--checkpoint").arg(&weights).arg("--image").arg(image);
        command.arg("--out").arg(folder.path().join("out"));
        command
    };
    predict(&image).args(["--points", "30,5"]).assert().code(1).stderr(contains("outside the image"));
    predict(&image).args(["--points", "a,b"]).assert().code(2).stderr(contains("expected numbers"));
    predict(&image).args(["--device", "gpu"]).assert().code(2).stderr(contains("cuda:N"));
    predict(&image).args(["--input-size", "100"]).assert().code(1).stderr(contains("multiple of 16"));
    predict(&folder.path().join("absent.png")).assert().code(1).stderr(contains("absent.png"));
    let empty = folder.path().join("empty");
    std::fs::create_dir(&empty).unwrap();
    predict(&empty).assert().code(1).stderr(contains("no images"));
}
