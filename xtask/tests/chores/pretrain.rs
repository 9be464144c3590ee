//! `cargo xtask pretrain` from the outside: a tiny plan from start to exported files.

use assert_cmd::Command;
use predicates::str::contains;
use std::path::Path;

const PLAN: &str = r#"
seed = 3
learning_rate = 1e-3
warmup = 2
ramp = 4
decay = 2
floor = 0.1
clip = 1.0

[optimizer]
kind = "adam-w"

[model]
image_size = 64
patch_size = 8
embed_dim = 16
depth = 2
num_heads = 2
output_channels = 16
window_size = 4
global_attention_blocks = [1]
decoder_heads = 2
decoder_mlp_dim = 16
iou_head_hidden_dim = 16

[[phases]]
steps = 3
sizes = [32, 40]
batch = 3
shard = 2
"#;

fn xtask() -> Command {
    Command::new(env!("CARGO_BIN_EXE_xtask"))
}

fn pretrain(folder: &Path, plan: &str) -> Command {
    std::fs::write(folder.join("plan.toml"), plan).unwrap();
    let mut command = xtask();
    command.current_dir(folder).args(["pretrain", "--plan", "plan.toml", "--out", "run", "--scenes", "2"]);
    command.args(["--export", "out/tiny.safetensors"]);
    command
}

#[test]
fn a_tiny_plan_ends_in_weights_token_and_card() {
    let folder = tempfile::tempdir().unwrap();
    pretrain(folder.path(), PLAN).assert().success().stdout(contains("3 of 3 steps"));
    let read = |name: &str| std::fs::read(folder.path().join("out").join(name)).unwrap();
    let card: serde_json::Value = serde_json::from_slice(&read("tiny.json")).unwrap();
    assert_eq!(card["steps"], 3);
    assert_eq!(card["scenes"], 9);
    assert_eq!(card["bytes"], read("tiny.safetensors").len());
    assert!(card["scores"]["128"]["automatic"].as_f64().is_some_and(|dice| (0.0..=1.0).contains(&dice)));
    let prompt = read("tiny-prompt.safetensors");
    assert!(prompt.len() > 64);
    // The run is done: the same command trains nothing and writes the same bytes.
    let weights = read("tiny.safetensors");
    pretrain(folder.path(), PLAN).assert().success();
    assert_eq!(weights, read("tiny.safetensors"));
    // A longer plan would have fallen later: it is another run, and says so.
    let longer = PLAN.replace("steps = 3", "steps = 30");
    pretrain(folder.path(), &longer).assert().failure().stderr(contains("another plan"));
}

#[test]
fn a_wrong_plan_is_refused_with_its_field() {
    let folder = tempfile::tempdir().unwrap();
    pretrain(folder.path(), &PLAN.replace("[32, 40]", "[33]")).assert().failure().stderr(contains("phases[0].sizes"));
    pretrain(folder.path(), &PLAN.replace("ramp", "rampp")).assert().failure().stderr(contains("rampp"));
    xtask().args(["pretrain", "--plan", "missing.toml"]).assert().failure().stderr(contains("missing.toml"));
    xtask().args(["pretrain", "--export-only", "--out"]).arg(folder.path().join("none")).assert().failure();
}

#[test]
fn the_built_in_recipe_prints_as_a_plan() {
    let text = xtask().args(["pretrain", "--print-plan"]).assert().success().get_output().stdout.clone();
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("plan.toml"), text).unwrap();
    let again = xtask().current_dir(folder.path()).args(["pretrain", "--plan", "plan.toml", "--print-plan"]).assert();
    again.success().stdout(contains("patch_size = 8"));
}
