//! Trainings whose devices are served by other processes of this machine: `salt serve-device` and `remote:HOST:PORT`.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a failing test may panic")]

mod server;

use assert_cmd::Command;
use medseg_data::dataset::ArcadeTask;
use medseg_data::synth::{Counts, write_arcade};
use medseg_train::train::Outcome;
use predicates::prelude::*;
use predicates::str::contains;
use safetensors::SafeTensors;
use server::Server;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

/// A SAM of a few thousand parameters.
const ARCHITECTURE: &str = "image_size = 64\npatch_size = 8\nembed_dim = 16\ndepth = 2\nnum_heads = 2\noutput_channels = 16\n\
    window_size = 3\nglobal_attention_blocks = [1]\ndecoder_heads = 2\ndecoder_mlp_dim = 16\niou_head_hidden_dim = 16\n";

/// How far trained values may lie from those of one process: of the largest of their tensor.
const TOLERANCE: f32 = 1e-4;

struct Place(tempfile::TempDir);

impl Place {
    /// A folder with a data set of eight training images.
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let counts = Counts { train: 8, val: 2, test: 2 };
        write_arcade(&folder.path().join("data"), ArcadeTask::Syntax, 64, counts, 3).unwrap();
        Self(folder)
    }

    /// A run file in it. Plain descent: a step is as exact as the gradients that it is made of.
    fn config(&self, devices: &[&str], epochs: usize) -> PathBuf {
        let text = format!(
            "seed = 4\ndevices = {devices:?}\n[data]\npath = \"data\"\nimage-size = 64\nallow-empty-masks = true\n\
             [model]\nbase = \"random\"\n[model.architecture.custom]\n{ARCHITECTURE}\
             [adapter]\nmethod = \"salt\"\ninclude = [\"qkv\", \"lin1\"]\nsvd-rank = 8\nlora-rank = 2\ntrain = [\"norm\", \"prompt\"]\n\
             [[loss]]\nkind = \"cross-entropy\"\n[optimizer]\nkind = \"sgd\"\n\
             [training]\nepochs = {epochs}\nbatch-size = 4\nlearning-rate = 0.05\ncheckpoint-seconds = 0\n"
        );
        let file = self.0.path().join("run.toml");
        fs::write(&file, text).unwrap();
        file
    }

    fn run(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn trained(&self, name: &str, devices: &[&str], epochs: usize) -> Ending {
        let run = self.run(name);
        train(&self.config(devices, epochs), &run).assert().success();
        Ending::of(&run)
    }
}

fn train(config: &Path, run: &Path) -> Command {
    let mut command = Command::cargo_bin("salt").unwrap();
    command.args(["train", "--config"]).arg(config).arg("--out").arg(run).env("SALT_CACHE_DIR", "");
    command
}

/// What a run ends with: the loss of each epoch and the selected weights.
#[derive(Debug, PartialEq)]
struct Ending {
    losses: Vec<f64>,
    weights: BTreeMap<String, Vec<f32>>,
}

impl Ending {
    fn of(run: &Path) -> Self {
        let outcome: Outcome = toml::from_str(&fs::read_to_string(run.join("outcome.toml")).unwrap()).unwrap();
        let bytes = fs::read(run.join("best.safetensors")).unwrap();
        let tensors = SafeTensors::deserialize(&bytes).unwrap();
        let values = |data: &[u8]| data.chunks_exact(4).map(|b| f32::from_le_bytes(b.try_into().unwrap())).collect();
        let weights = tensors.iter().map(|(name, view)| (name.to_owned(), values(view.data()))).collect();
        Self { losses: outcome.curve.iter().map(|epoch| epoch.loss).collect(), weights }
    }

    fn assert_close(&self, other: &Self) {
        let apart = |a: f64, b: f64| (a - b).abs() / b.abs();
        let losses = self.losses.iter().zip(&other.losses).map(|(a, b)| apart(*a, *b)).fold(0.0, f64::max);
        assert!(losses < f64::from(TOLERANCE), "losses {:?} against {:?}", self.losses, other.losses);
        assert_eq!(self.weights.keys().collect::<Vec<_>>(), other.weights.keys().collect::<Vec<_>>());
        let mut worst = 0.0f32;
        for (name, values) in &self.weights {
            let expected = &other.weights[name];
            let largest = expected.iter().fold(0.0f32, |largest, value| largest.max(value.abs()));
            let distance = values.iter().zip(expected).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
            assert!(distance <= TOLERANCE * largest, "{name}: {distance} apart, largest value {largest}");
            worst = worst.max(distance / largest.max(f32::MIN_POSITIVE));
        }
        println!("losses {losses:.1e} apart, weights {worst:.1e}");
    }
}

#[test]
fn two_processes_give_the_weights_of_one_with_the_joined_batch() {
    let place = Place::new();
    let servers = [Server::start(), Server::start()];
    let [first, second] = servers.each_ref().map(|server| server.device.as_str());
    let one = place.trained("one", &["cpu"], 3);
    assert!(one.losses[2] < one.losses[0], "nothing was learnt: {:?}", one.losses);
    let two = place.trained("two", &[first, second], 3);
    two.assert_close(&one);
    // The client's own device beside that of a server: values go through the client.
    place.trained("mixed", &["cpu", second], 3).assert_close(&one);
    assert_eq!(place.trained("again", &[first, second], 3), two, "the same run, twice");
}

#[test]
fn a_lost_server_is_named_and_the_run_goes_on_when_it_is_back() {
    let place = Place::new();
    let (first, second) = (Server::start(), Server::start());
    let devices = [first.device.clone(), second.device.clone()];
    let devices = devices.each_ref().map(String::as_str);
    let expected = place.trained("undisturbed", &devices, 20);

    let (config, run) = (place.config(&devices, 20), place.run("disturbed"));
    let mut command = std::process::Command::new(assert_cmd::cargo::cargo_bin("salt"));
    command.args(["train", "--config"]).arg(&config).arg("--out").arg(&run).env("SALT_CACHE_DIR", "");
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let begun = Instant::now();
    while !fs::read_dir(run.join("checkpoints")).is_ok_and(|entries| entries.count() > 0) {
        assert!(begun.elapsed() < Duration::from_secs(120), "no checkpoint in two minutes");
        assert!(child.try_wait().unwrap().is_none(), "the run ended before its server did");
        std::thread::sleep(Duration::from_millis(1));
    }
    let port = second.port();
    drop(second);
    let output = child.wait_with_output().unwrap();
    let text = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{text}");
    let message = text.lines().find(|line| line.starts_with("error: ")).unwrap_or_else(|| panic!("no error: {text}"));
    assert!(message.contains(&format!("remote:127.0.0.1:{port}")) && message.contains("lost"), "{message}");
    assert!(!run.join("outcome.toml").exists());

    let _second = Server::start_at(port);
    train(&config, &run).assert().success();
    assert_eq!(Ending::of(&run), expected);
}

#[test]
fn what_does_not_answer_is_named() {
    let place = Place::new();
    let server = Server::start();
    let device = server.device.clone();
    drop(server);
    let run = place.run("run");
    train(&place.config(&[&device], 1), &run).assert().code(1).stderr(contains(&device).and(contains("serve-device")));
    assert!(!run.exists());
}
