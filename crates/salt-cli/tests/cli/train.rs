//! `salt train`, `score`, `merge`, `export` and what `predict` makes of them, from the outside; kills, signals and bad input.

#[cfg(unix)]
use crate::support::unwritable;
use assert_cmd::Command;
use medseg_data::dataset::ArcadeTask;
use medseg_data::synth::{Counts, write_arcade};
use predicates::prelude::*;
use predicates::str::contains;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::Duration;

/// A SAM of a few thousand parameters.
const ARCHITECTURE: &str = "image_size = 64\npatch_size = 8\nembed_dim = 16\ndepth = 2\nnum_heads = 2\noutput_channels = 16\n\
    window_size = 3\nglobal_attention_blocks = [1]\ndecoder_heads = 2\ndecoder_mlp_dim = 16\niou_head_hidden_dim = 16\n";

fn salt() -> Command {
    Command::cargo_bin("salt").unwrap()
}

/// A folder with a data set and a run file beside it.
pub(crate) fn place(epochs: usize) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    write_arcade(&folder.path().join("data"), ArcadeTask::Syntax, 64, Counts { train: 8, val: 2, test: 2 }, 3).unwrap();
    let config = folder.path().join("run.toml");
    let text = format!(
        "seed = 4\n[data]\npath = \"data\"\nimage-size = 64\nallow-empty-masks = true\n\
         [model]\nbase = \"random\"\n[model.architecture.custom]\n{ARCHITECTURE}\
         [adapter]\nmethod = \"salt\"\ninclude = [\"qkv\", \"lin1\"]\nsvd-rank = 8\nlora-rank = 2\ntrain = [\"norm\", \"prompt\"]\n\
         [training]\nepochs = {epochs}\nbatch-size = 2\nlearning-rate = 0.01\ncheckpoint-seconds = 0\n"
    );
    std::fs::write(&config, text).unwrap();
    (folder, config)
}

pub(crate) fn train(config: &Path, out: &Path) -> Command {
    let mut command = salt();
    command.args(["train", "--config"]).arg(config).arg("--out").arg(out);
    command
}

pub(crate) fn started(config: &Path, out: &Path) -> Child {
    let mut command = std::process::Command::new(assert_cmd::cargo::cargo_bin("salt"));
    command.args(["train", "--config"]).arg(config).arg("--out").arg(out);
    command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
}

/// The commands that a command printed as the next ones.
fn suggested(output: &std::process::Output) -> Vec<String> {
    let text = String::from_utf8(output.stdout.clone()).unwrap();
    let commands = text.lines().filter_map(|line| line.split_once("salt ").map(|(_, command)| command.to_owned()));
    commands.collect()
}

/// Runs a printed command through a shell, as a user who copies it does, with the placeholders filled in.
fn copied(command: &str, folder: &Path) -> Command {
    let images = folder.join("data/syntax/test/images");
    let command = command.replace("IMAGES", images.to_str().unwrap()).replace("MASKS", "masks");
    let mut shell = Command::new("sh");
    shell.current_dir(folder).args(["-c", &format!("exec \"$0\" {command}")]);
    shell.arg(assert_cmd::cargo::cargo_bin("salt"));
    shell
}

#[test]
fn a_run_is_trained_scored_merged_and_predicts_by_the_commands_that_it_prints() {
    let (folder, config) = place(2);
    let run = folder.path().join("run");
    let trained = train(&config, &run).assert().success().stdout(contains("selected epoch"));
    let next = suggested(trained.get_output());
    assert!(next.len() == 2 && next[0].starts_with("score") && next[1].starts_with("predict"), "{next:?}");
    copied(&next[0], folder.path())
        .assert()
        .success()
        .stdout(contains("dice").and(contains("hd95")).and(contains("2 images")));
    assert_eq!(std::fs::read_to_string(run.join("scores/cases.csv")).unwrap().lines().count(), 3);
    copied(&next[1], folder.path()).assert().success().stdout(contains("2 written"));
    let masks = |out: &str| -> Vec<(String, Vec<u8>)> {
        let mut masks: Vec<_> = std::fs::read_dir(folder.path().join(out))
            .unwrap()
            .flatten()
            .filter(|entry| entry.file_name().to_string_lossy().ends_with("_mask.png"))
            .map(|entry| (entry.file_name().to_string_lossy().into(), std::fs::read(entry.path()).unwrap()))
            .collect();
        masks.sort();
        masks
    };
    let expected = masks("masks");
    assert_eq!(expected.len(), 2);

    // The scores of the masks on disk are those that `score` printed.
    let merged = folder.path().join("merged");
    let output = salt().args(["merge", "--model"]).arg(&run).arg("--out").arg(&merged).assert().success();
    let next = suggested(output.get_output());
    copied(&next[0].replace("MASKS", "again"), folder.path()).assert().success();
    assert!(masks("again") == expected, "the merged model draws other masks");
    // What is there already is not replaced.
    salt().args(["merge", "--model"]).arg(&run).arg("--out").arg(&merged).assert().code(1).stderr(contains("already"));
}

#[test]
fn a_model_leaves_in_every_form_and_comes_back() {
    let (folder, config) = place(1);
    let run = folder.path().join("run");
    train(&config, &run).assert().success();
    let export = |format: &str, more: &[&str]| {
        let out = folder.path().join(format!("{format}{}", more.len()));
        let mut command = salt();
        command.args(["export", "--model"]).arg(&run).args(["--format", format]).args(more).arg("--out").arg(&out);
        (command.assert(), out)
    };
    let (done, meta) = export("meta", &[]);
    done.success();
    assert!(meta.join("model.safetensors").is_file() && meta.join("prompt.safetensors").is_file());
    let (done, _) = export("huggingface", &[]);
    done.success();
    // SALT is no LoRA; the best one of a rank is, with its error said.
    let (done, _) = export("peft", &[]);
    done.code(1).stderr(contains("--format lora"));
    let (done, lora) = export("lora", &["--rank", "2"]);
    done.success().stdout(contains("relative error").and(contains("blocks.1.attn.qkv.weight")));
    assert!(std::fs::read_to_string(lora.join("adapter_config.json")).unwrap().contains("\"LORA\""));
    let (done, adapter) = export("adapter", &["--basis", "basis"]);
    done.success();

    // An adapter with its base is a base to train from, and a model to use.
    let text = std::fs::read_to_string(&config).unwrap();
    let again = text.replace("[model]\n", &format!("[model]\nadapter = {adapter:?}\n"));
    let second = folder.path().join("second.toml");
    std::fs::write(&second, again).unwrap();
    train(&second, &folder.path().join("run2")).assert().success();
    let image = folder.path().join("data/syntax/test/images");
    let mut alone = salt();
    alone
        .args(["predict", "--model"])
        .arg(&adapter)
        .arg("--image")
        .arg(&image)
        .arg("--out")
        .arg(folder.path().join("o"));
    alone.assert().code(1).stderr(contains("--base"));
    let mut inspect = salt();
    inspect.args(["inspect", "--model"]).arg(&run);
    inspect.assert().success().stdout(contains("blocks.0.attn.qkv.weight").and(contains("validation Dice")));
    salt().args(["inspect", "--json", "--model"]).arg(&run).assert().success().stdout(contains("\"architecture\""));
}

/// A U-Net from its run file to masks, scores and the state dict that MONAI opens.
#[test]
fn a_classic_network_goes_through_the_same_commands() {
    let (folder, config) = place(2);
    let text = std::fs::read_to_string(&config).unwrap();
    let (head, tail) = (text.split("[model]").next().unwrap(), text.split("[training]").nth(1).unwrap());
    let with = |model: &str| format!("{head}[model.network]\n{model}\n[adapter]\nmethod = \"full\"\n[training]{tail}");
    std::fs::write(&config, with("name = \"unet\"\nchannels = [4, 8, 16]")).unwrap();
    let run = folder.path().join("run");
    let mut check = train(&config, &run);
    check
        .arg("--check")
        .assert()
        .success()
        .stderr(contains("unet, random weights, seed 0").and(contains("100.0000 %")));
    let trained = train(&config, &run).assert().success().stdout(contains("selected epoch"));
    for (command, found) in suggested(trained.get_output()).iter().zip(["dice", "2 written"]) {
        copied(command, folder.path()).assert().success().stdout(contains(found));
    }
    let image = folder.path().join("data/syntax/test/images");
    let predict = |model: &Path, out: &str, more: &[&str]| {
        let out = folder.path().join(out);
        let mut command = salt();
        command.args(["predict", "--model"]).arg(model).arg("--image").arg(&image).arg("--out").arg(&out).args(more);
        (command.assert(), out)
    };
    let (refused, _) = predict(&run, "pointed", &["--points", "10,10"]);
    refused.code(1).stderr(contains("unet").and(contains("answers no prompts")));

    let inspected = salt().args(["inspect", "--model"]).arg(&run).assert().success();
    inspected.stdout(contains("network         unet").and(contains("stored whole")).and(contains("validation Dice")));
    salt().args(["inspect", "--json", "--model"]).arg(&run).assert().success().stdout(contains("\"network\""));
    let export = |format: &str| {
        let out = folder.path().join(format);
        let mut command = salt();
        command.args(["export", "--model"]).arg(&run).args(["--format", format]).arg("--out").arg(&out);
        (command.assert(), out)
    };
    let (done, meta) = export("meta");
    done.success();
    assert!(!meta.join("prompt.safetensors").exists());
    export("huggingface").0.code(1).stderr(contains("expected a SAM, found the network unet"));
    export("adapter").0.code(1).stderr(contains("stored whole").and(contains("--format meta writes")));
    let merged = folder.path().join("merged");
    salt().args(["merge", "--model"]).arg(&run).arg("--out").arg(&merged).assert().success();
    let read = |folder: &Path, name: &str| std::fs::read(folder.join(name)).unwrap();
    assert_eq!(read(&meta, "model.safetensors"), read(&merged, "model.safetensors"));
    // The masks of the state dict are those of the run.
    let name = std::fs::read_dir(folder.path().join("masks")).unwrap().flatten().find_map(|entry| {
        let name = entry.file_name().to_string_lossy().into_owned();
        name.ends_with("_mask.png").then_some(name)
    });
    let (done, out) = predict(&meta.join("model.safetensors"), "plain", &[]);
    done.success();
    let name = name.unwrap();
    assert_eq!(read(&out, &name), read(&folder.path().join("masks"), &name));

    for (model, part) in
        [("name = \"u-net\"", "u-net"), ("name = \"unet\"\nchannels = [4, 4, 4, 4, 4, 4, 4, 4]", "128")]
    {
        std::fs::write(&config, with(model)).unwrap();
        train(&config, &folder.path().join("other")).assert().code(1).stderr(contains(part));
    }
}

#[cfg(unix)]
#[test]
fn a_terminated_run_saves_and_says_try_again() {
    let (folder, config) = place(2000);
    let run = folder.path().join("run");
    let mut child = started(&config, &run);
    // The log's first line tells that training has begun.
    let log = run.join("log.jsonl");
    for _ in 0..600 {
        if std::fs::read_to_string(&log).is_ok_and(|text| text.contains("epoch")) {
            break;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    std::process::Command::new("kill").args(["-TERM", &child.id().to_string()]).status().unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(75));
    assert!(std::fs::read_to_string(&log).unwrap().contains("stopped"));
    assert!(run.join("checkpoints").is_dir());
}

#[test]
fn a_second_run_in_one_directory_is_refused() {
    let (folder, config) = place(1);
    let run = folder.path().join("run");
    let held = medseg_train::checkpoint::RunLock::acquire(&run).unwrap();
    train(&config, &run).assert().code(1).stderr(contains("another run is using this directory"));
    train(&config, &run).arg("--check").assert().code(1).stderr(contains("another run is using this directory"));
    drop(held);
    train(&config, &run).assert().success();
    // Another configuration does not mix with the finished one.
    let text = std::fs::read_to_string(&config).unwrap().replace("seed = 4", "seed = 5");
    std::fs::write(&config, text).unwrap();
    train(&config, &run).assert().code(1).stderr(contains("another configuration").and(contains("--fresh")));
    train(&config, &run).arg("--check").assert().code(1).stderr(contains("another configuration"));
    train(&config, &run).args(["--check", "--fresh"]).assert().success();
    train(&config, &run).arg("--fresh").assert().success();
}

#[test]
fn what_a_user_gets_wrong_is_named_before_anything_is_trained() {
    let (folder, config) = place(1);
    let run = folder.path().join("run");
    let text = std::fs::read_to_string(&config).unwrap();
    for (from, to, message) in [
        ("epochs", "epoches", "epoches"),
        ("\"salt\"", "\"pepper\"", "pepper"),
        ("path = \"data\"", "path = \"nowhere\"", "nowhere"),
        ("\"qkv\"", "\"no-such-layer\"", "no-such-layer"),
        ("base = \"random\"", "base = \"missing.pth\"", "missing.pth"),
        ("image-size = 64", "image-size = 60", "multiple"),
        ("learning-rate = 0.01", "learning-rate = -1.0", "learning-rate"),
    ] {
        let bad = folder.path().join("bad.toml");
        let changed = text.replacen(from, to, 1);
        assert_ne!(changed, text, "{from}");
        std::fs::write(&bad, changed).unwrap();
        train(&bad, &run).arg("--check").assert().code(1).stderr(contains(message));
    }
    train(&folder.path().join("absent.toml"), &run).assert().code(1).stderr(contains("absent.toml"));
    train(&config, &run).arg("--check").assert().success().stderr(contains("nothing was trained"));
    // A file stands where the directory should be.
    let file = folder.path().join("file");
    std::fs::write(&file, "x").unwrap();
    train(&config, &file.join("run")).assert().code(1).stderr(contains("cannot create"));
    // A checkpoint of another size, named tensor by tensor.
    let weights = folder.path().join("small.safetensors");
    let small: sam_model::SamConfig = toml::from_str(&ARCHITECTURE.replace("depth = 2", "depth = 3")).unwrap();
    small.init_seeded(0, &medseg_train::device::open("cpu").unwrap()).unwrap().save(&weights).unwrap();
    let bad = folder.path().join("bad.toml");
    std::fs::write(&bad, text.replace("base = \"random\"", "base = \"small.safetensors\"")).unwrap();
    train(&bad, &run).arg("--check").assert().code(1).stderr(contains("image_encoder.blocks.2"));
    // No finished run to evaluate.
    salt().args(["merge", "--model"]).arg(&run).args(["--out", "x"]).assert().code(1).stderr(contains("bundle.json"));
    // Nor one without a prompt of its own; what the error names does work.
    let out = folder.path().join("plain");
    let of = |arguments: &[&str]| salt().args(arguments).arg("--model").arg(&weights).arg("--out").arg(&out).assert();
    of(&["merge"]).code(1).stderr(contains("export --format meta"));
    of(&["export", "--format", "meta"]).success();
}

#[test]
fn a_folder_of_the_users_is_not_taken_for_a_run() {
    let (folder, config) = place(1);
    // The run file lies in the folder that is given for the run, under the name that a run would write.
    let named = folder.path().join("run.toml");
    assert_eq!(named, config);
    let before = std::fs::read(&config).unwrap();
    train(&config, folder.path()).assert().code(1).stderr(contains("run.toml").and(contains("already")));
    train(&config, folder.path()).arg("--check").assert().code(1).stderr(contains("run.toml"));
    assert_eq!(std::fs::read(&config).unwrap(), before);
}

#[test]
fn images_without_masks_are_listed() {
    let (folder, config) = place(1);
    let images = folder.path().join("data/syntax/train/images");
    for id in [2, 5] {
        std::fs::remove_file(images.join(format!("{id}.png"))).unwrap();
    }
    let mut command = train(&config, &folder.path().join("run"));
    command.arg("--check").assert().code(1).stderr(contains("2.png").and(contains("5.png")));
}

#[cfg(unix)]
#[test]
fn a_read_only_folder_is_named_by_the_check() {
    let (folder, config) = place(1);
    let run = unwritable(folder.path()).join("run");
    let name = run.display().to_string();
    for extra in [&["--check"][..], &["--check", "--fresh"], &[]] {
        train(&config, &run)
            .args(extra)
            .assert()
            .code(1)
            .stderr(contains("cannot create").and(contains(name.as_str())));
    }
}

/// A disk that takes no more: the shell's file size limit stands in for it (the write fails, the process lives).
#[cfg(unix)]
#[test]
fn a_full_disk_is_an_error_and_the_run_continues_when_there_is_room() {
    let (folder, config) = place(3);
    let run = folder.path().join("run");
    let mut limited = Command::new("sh");
    limited.args(["-c", "trap '' XFSZ; ulimit -f 8; exec \"$0\" \"$@\""]);
    limited.arg(assert_cmd::cargo::cargo_bin("salt")).args(["train", "--config"]).arg(&config).arg("--out").arg(&run);
    limited.assert().code(1).stderr(contains("cannot write"));
    train(&config, &run).assert().success();
    let whole = folder.path().join("whole");
    train(&config, &whole).assert().success();
    let weights = |folder: &Path| std::fs::read(folder.join("best.safetensors")).unwrap();
    assert!(weights(&run) == weights(&whole));
}
