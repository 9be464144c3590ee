//! `cargo xtask api`: the public interface of the libraries, one line an item, as it was recorded.

mod render;

use super::ci::root;
use salt_cli::commands::CommandResult;
use salt_cli::{CliError, out};
use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

/// Compare the public interface of the libraries with what is recorded in `crates/NAME/api.txt`.
///
/// A line that is gone or different is a change that breaks somebody's program; a new line is not. Both end with exit code 1 until they
/// are recorded with --write, so that no change of an interface happens unseen. The interface is what rustdoc says of it.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Record the interface as it is
    #[arg(long)]
    write: bool,
}

/// The libraries that others build upon.
const LIBRARIES: [&str; 5] = ["salt-linalg", "salt-peft", "sam-model", "medseg-data", "medseg-metrics"];

/// Runs the chore.
pub(crate) fn run(args: Args) -> CommandResult {
    let root = std::path::absolute(root()).map_err(CliError::io("cannot resolve", Path::new(".")))?;
    let mut changes = Vec::new();
    for library in LIBRARIES {
        let now = interface(&root, library)?;
        let path = root.join("crates").join(library).join("api.txt");
        if args.write {
            std::fs::write(&path, now.join("\n") + "\n").map_err(CliError::io("cannot write", &path))?;
            out!("{library}: {} items", now.len())?;
            continue;
        }
        let recorded = std::fs::read_to_string(&path).map_err(CliError::io("cannot read", &path))?;
        let found = differences(&recorded.lines().collect(), &now.iter().map(String::as_str).collect());
        out!("{library}: {} items, {} changes", now.len(), found.len())?;
        changes.extend(found.into_iter().map(|change| format!("{library}: {change}")));
    }
    if changes.is_empty() {
        return Ok(());
    }
    Err(CliError::Found(format!(
        "the public interface is not the recorded one (- breaks programs, + is new; `cargo xtask api --write` records it):\n  {}",
        changes.join("\n  ")
    )))
}

/// Lines that are gone, then lines that are new.
fn differences(recorded: &BTreeSet<&str>, now: &BTreeSet<&str>) -> Vec<String> {
    let gone = recorded.difference(now).map(|line| format!("- {line}"));
    gone.chain(now.difference(recorded).map(|line| format!("+ {line}"))).collect()
}

/// The items of a library, sorted.
fn interface(root: &Path, library: &str) -> Result<Vec<String>, CliError> {
    let mut command = Command::new("cargo");
    command.current_dir(root).args(["rustdoc", "--locked", "--quiet", "--lib", "--package", library, "--"]);
    command.args(["-Z", "unstable-options", "--output-format", "json"]);
    // Stable rustdoc writes JSON if it is asked as the unstable one; cargo and the compiler do not get that word, or they would
    // compile everything anew.
    command.env("RUSTDOC", root.join("xtask/rustdoc-json.sh")).env_remove("RUSTDOCFLAGS");
    let output = command.output().map_err(CliError::io("cannot run", Path::new("cargo")))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        return Err(CliError::Found(format!("rustdoc describes no {library} ({}): {said}", output.status)));
    }
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), Into::into);
    let path = target.join("doc").join(format!("{}.json", library.replace('-', "_")));
    let text = std::fs::read_to_string(&path).map_err(CliError::io("cannot read", &path))?;
    let described = serde_json::from_str(&text).map_err(|error| CliError::file(&path, error.to_string()))?;
    render::items(&described).map_err(|problem| CliError::file(&path, problem))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_gone_comes_before_what_is_new() {
        let (recorded, now) = (BTreeSet::from(["fn a()", "fn b()"]), BTreeSet::from(["fn b()", "fn c()"]));
        assert_eq!(differences(&recorded, &now), ["- fn a()", "+ fn c()"]);
        assert!(differences(&now, &now).is_empty());
    }

    #[test]
    fn every_library_has_a_record() {
        for library in LIBRARIES {
            let text = std::fs::read_to_string(root().join("crates").join(library).join("api.txt")).expect("a record");
            assert!(text.lines().count() > 50, "{library}");
            assert!(text.lines().collect::<Vec<_>>().is_sorted(), "{library}");
        }
    }
}
