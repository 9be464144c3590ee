//! `cargo xtask ci` from the outside.

use assert_cmd::Command;
use predicates::str::contains;

#[test]
fn the_last_check_is_the_command_of_the_readme() {
    let output = Command::new(env!("CARGO_BIN_EXE_xtask")).args(["ci", "--list"]).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success() && text.lines().count() > 5, "{text}");
    assert_eq!(text.lines().last(), Some("== test: cargo test"));
    let mut unknown = Command::new(env!("CARGO_BIN_EXE_xtask"));
    unknown.args(["ci", "--only", "lunch"]).assert().code(1).stderr(contains("lunch"));
}

#[test]
fn what_the_documents_name_is_there() {
    Command::new(env!("CARGO_BIN_EXE_xtask")).arg("names").assert().success().stdout(contains("all of them there"));
}

#[test]
fn every_crate_says_what_it_is() {
    Command::new(env!("CARGO_BIN_EXE_xtask")).arg("crates").assert().success().stdout(contains("says what it is"));
}
