//! Servers that are killed or were never there: an error with their address, and no panic.

use super::place::{Ending, Place, Recipe, SHORT, train};
use super::server::Server;
use predicates::prelude::*;
use predicates::str::contains;
use std::fs;
use std::path::Path;
use std::process::{Child, Output, Stdio};
use std::time::{Duration, Instant};

const LONG: Recipe = Recipe { epochs: 6, ..SHORT };

fn spawn(arguments: &[&str], paths: [(&str, &Path); 2]) -> Child {
    let mut command = std::process::Command::new(assert_cmd::cargo::cargo_bin("salt"));
    command.args(arguments).env("SALT_CACHE_DIR", "");
    for (name, path) in paths {
        command.arg(name).arg(path);
    }
    command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap()
}

/// Whether there is a file or folder of this name somewhere in a folder.
fn holds(folder: &Path, name: &str) -> bool {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries.map(|entry| entry.path()).any(|path| path.ends_with(name) || holds(&path, name))
}

/// Waits until there is, while the process works.
fn wait_for(folder: &Path, name: &str, child: &mut Child) {
    let begun = Instant::now();
    while !holds(folder, name) {
        assert!(begun.elapsed() < Duration::from_secs(600), "no {name} in ten minutes");
        assert!(child.try_wait().unwrap().is_none(), "the process ended before its server did");
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// The process failed, and what the user sees names the server and holds no panic.
fn assert_named(output: Output, device: &str) {
    let text = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(!text.contains("panicked") && !text.contains("WARN"), "{text}");
    let message = text.lines().find(|line| line.starts_with("error: ")).unwrap_or_else(|| panic!("no error: {text}"));
    assert!(message.contains(device) && message.contains("lost"), "{message}");
}

/// A training on two servers, of which the one of this number is killed after the first checkpoint.
fn goes_on_without(killed: usize) {
    let place = Place::new();
    let mut servers = vec![Server::start(), Server::start()];
    let devices: Vec<String> = servers.iter().map(|server| server.device.clone()).collect();
    let devices: Vec<&str> = devices.iter().map(String::as_str).collect();
    let expected = place.trained("undisturbed", &devices, LONG);

    let (config, run) = (place.config(&devices, LONG), place.run("disturbed"));
    let mut child = spawn(&["train"], [("--config", &config), ("--out", &run)]);
    wait_for(&run, "progress.toml", &mut child);
    let server = servers.remove(killed);
    let (port, device) = (server.port(), server.device.clone());
    drop(server);
    assert_named(child.wait_with_output().unwrap(), &device);
    assert!(!run.join("outcome.toml").exists());

    let _again = Server::start_at(port);
    train(&config, &run).assert().success();
    assert_eq!(Ending::of(&run), expected);
}

#[test]
fn a_training_goes_on_when_the_server_of_the_weights_is_back() {
    goes_on_without(0);
}

#[test]
fn a_training_goes_on_when_another_server_is_back() {
    goes_on_without(1);
}

#[test]
fn a_comparison_names_a_lost_server() {
    let place = Place::new();
    let server = Server::start();
    let (data, out) = (place.folder().join("data"), place.run("study"));
    let devices =
        ["reproduce", "--methods", "lora-low", "--epochs", "500", "--rates", "0.001", "--devices", &server.device];
    let mut child = spawn(&devices, [("--data", &data), ("--out", &out)]);
    wait_for(&out, "log.jsonl", &mut child);
    let device = server.device.clone();
    drop(server);
    assert_named(child.wait_with_output().unwrap(), &device);
}

#[test]
fn what_does_not_answer_is_named() {
    let place = Place::new();
    let server = Server::start();
    let device = server.device.clone();
    drop(server);
    let run = place.run("run");
    let named = contains(&device).and(contains("serve-device")).and(contains("panicked").not());
    train(&place.config(&[&device], SHORT), &run).assert().code(1).stderr(named);
    assert!(!run.exists());
}
