//! `--text` from the outside: trained with words, asked for others.

use crate::clip::wide_clip;
use assert_cmd::Command;
use medseg_data::dataset::ArcadeTask;
use medseg_data::synth::{Counts, write_arcade};
use predicates::prelude::*;
use predicates::str::contains;
use std::path::Path;

const RUN: &str = r#"
[data]
path = "data"
image-size = 64
allow-empty-masks = true
[model]
base = "random"
[model.architecture.custom]
image_size = 64
patch_size = 8
embed_dim = 16
depth = 2
num_heads = 2
output_channels = 16
window_size = 3
global_attention_blocks = [1]
decoder_heads = 2
decoder_mlp_dim = 16
iou_head_hidden_dim = 16
[adapter]
method = "lora"
include = ["qkv"]
lora-rank = 2
train = ["norm", "prompt"]
[training]
epochs = 1
"#;

fn salt(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::cargo_bin("salt").unwrap();
    command.current_dir(folder).args(arguments);
    command
}

#[test]
fn a_model_is_trained_with_words_and_asked_for_others() {
    let place = tempfile::tempdir().unwrap();
    let folder = place.path();
    write_arcade(&folder.join("data"), ArcadeTask::Syntax, 64, Counts { train: 3, val: 1, test: 1 }, 3).unwrap();
    std::fs::write(folder.join("run.toml"), RUN).unwrap();
    let clip = wide_clip(&folder.join("clip"), 1.0);
    let train = |out: &str, more: &[&str]| {
        let mut command = salt(folder, &["train", "--config", "run.toml", "--cache", "cache", "--out", out]);
        command.args(more);
        command
    };
    let clip = clip.to_str().unwrap();
    train("run", &["--text", "vein"]).assert().code(1).stderr(contains("\"vein\"").and(contains("--clip FILE")));
    train("run", &["--text", "  "]).assert().code(1).stderr(contains("empty text"));
    train("run", &["--text", "vein", "--text", "vessel"]).assert().code(1).stderr(contains("expected one text"));
    train("run", &["--clip", clip]).assert().code(2).stderr(contains("--text"));
    let named = train("run", &["--text", "vein", "--clip", clip]).assert().success();
    named.stderr(contains("prompted with \"vein\""));
    // Its words are kept now: another run needs no file, and one without words has a token.
    train("again", &["--text", "vein"]).assert().success();
    train("plain", &[]).assert().success();

    let predict = |model: &str, out: &str, more: &[&str]| {
        let images = "data/syntax/test/images";
        let mut command =
            salt(folder, &["predict", "--model", model, "--image", images, "--out", out, "--cache", "none"]);
        command.args(more);
        command
    };
    let masks = |out: &str| {
        let name = |entry: std::fs::DirEntry| entry.file_name().to_string_lossy().into_owned();
        let mut names: Vec<String> = std::fs::read_dir(folder.join(out)).unwrap().flatten().map(name).collect();
        names.retain(|name| name.ends_with("_probability.png"));
        names.sort();
        names
    };
    predict("run", "own", &[]).assert().success().stdout(contains("1 written"));
    predict("run", "own", &["--text", "vein"]).assert().success();
    let own = masks("own");
    assert_eq!(own.len(), 1, "one text needs no name: {own:?}");
    predict("run", "other", &["--text", "background"]).assert().code(1).stderr(contains("--clip FILE"));
    let two = ["--text", "background", "--text", "vein", "--clip", clip];
    predict("run", "other", &two).assert().success();
    assert!(masks("other").iter().any(|name| name.contains("_background_")), "{:?}", masks("other"));
    let of_vein = masks("other").into_iter().find(|name| name.contains("_vein_")).unwrap();
    let grey = |path: &Path| image::open(path).unwrap().to_luma8().into_raw();
    let (a, b) = (grey(&folder.join("own").join(&own[0])), grey(&folder.join("other").join(of_vein)));
    assert!(a.iter().zip(&b).all(|(a, b)| a.abs_diff(*b) <= 1), "the same words, the same mask");
    predict("plain", "third", &["--text", "vein", "--clip", clip])
        .assert()
        .code(1)
        .stderr(contains("trained without text"));
    predict("run", "third", &["--text", "vein", "--points", "3,3"]).assert().code(1).stderr(contains("--points"));
    salt(folder, &["score", "--model", "run"]).assert().success().stdout(contains("1 images"));
}
