//! One build of Burn for every command.
//!
//! Cargo unifies the features of dependencies over the packages that a command selects. Where two selections differ in one
//! feature of one crate below Burn, Burn is compiled twice, which takes minutes. The crate `build-once` evens the features out;
//! these tests ask cargo what it resolves.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

/// What cargo would build: the feature lists of each package. Procedural macros and build scripts are resolved apart from
/// the rest, so one package can have several.
type Resolved = BTreeMap<String, BTreeSet<String>>;

/// What `cargo tree` lists with these arguments, our own crates left out: they are small, and some have features of their own.
fn resolve(arguments: &[&str]) -> Resolved {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let output = Command::new(env!("CARGO"))
        .args(["tree", "--locked", "--prefix", "none", "--format", "{p}|{f}"])
        .args(arguments)
        .env("CARGO_TERM_COLOR", "never")
        .current_dir(root)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let mut resolved = Resolved::new();
    for line in String::from_utf8(output.stdout).unwrap().lines() {
        // "(*)": printed before, with the same features.
        let line = line.strip_suffix(" (*)").unwrap_or(line);
        let Some((package, features)) = line.split_once('|') else { continue };
        // Ours are followed by their path.
        let package = package.strip_suffix(" (proc-macro)").unwrap_or(package);
        if !package.contains(" (") {
            resolved.entry(package.to_owned()).or_default().insert(features.to_owned());
        }
    }
    resolved
}

/// Whether a package of this name is among them.
fn contains(resolved: &Resolved, name: &str) -> bool {
    resolved.keys().any(|package| package.split(' ').next() == Some(name))
}

/// Names of the packages of this workspace.
fn members() -> Vec<String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--locked", "--no-deps", "--format-version", "1"])
        .current_dir(root)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    metadata["packages"].as_array().unwrap().iter().map(|it| it["name"].as_str().unwrap().to_owned()).collect()
}

/// Kinds of dependencies that a program is built from.
const PROGRAM: [&str; 2] = ["--edges", "normal,build"];

/// The packages that differ between a selection and the whole workspace with its tests.
fn differences(selection: &[&str], whole: &Resolved) -> Vec<String> {
    let resolved = resolve(selection);
    // Without Burn below it, what a selection compiles again is small.
    if !contains(&resolved, "burn") {
        return Vec::new();
    }
    let missing = |package: &str, features: &String| !whole.get(package).is_some_and(|known| known.contains(features));
    resolved
        .iter()
        .flat_map(|(package, lists)| lists.iter().map(move |features| (package, features)))
        .filter(|(package, features)| missing(package, features))
        .map(|(package, features)| format!("{}: {package} with features [{features}]", selection.join(" ")))
        .collect()
}

#[test]
fn every_command_builds_the_same_dependencies() {
    let whole = resolve(&["--workspace"]);
    let mut different = Vec::new();
    for member in members() {
        // `cargo test -p member`.
        different.extend(differences(&["--package", &member], &whole));
    }
    // `cargo xtask`, and the program `salt` beside it.
    different.extend(differences(&["--package", "xtask", PROGRAM[0], PROGRAM[1]], &whole));
    let both = ["--package", "xtask", "--package", "salt-cli", PROGRAM[0], PROGRAM[1]];
    different.extend(differences(&both, &whole));
    assert!(
        different.is_empty(),
        "`cargo test` of the whole workspace builds other features; name the crate in crates/build-once/Cargo.toml:\n{}",
        different.join("\n")
    );
}

#[test]
fn a_program_is_built_without_test_tools() {
    for name in ["xtask", "salt-cli"] {
        let program = resolve(&["--package", name, PROGRAM[0], PROGRAM[1]]);
        assert!(contains(&program, "burn"), "cargo tree lists nothing that {name} is made of");
        for tool in ["assert_cmd", "criterion", "predicates", "proptest"] {
            assert!(!contains(&program, tool), "{name} depends on {tool}");
        }
    }
}
