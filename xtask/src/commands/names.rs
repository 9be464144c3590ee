//! `cargo xtask names`: whether what the documents name is there.

use super::ci::root;
use salt_cli::commands::CommandResult;
use salt_cli::{CliError, out};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Check that every file, item and test that the documents' tables name exists.
///
/// In a cell of a table, a path in backticks must be a file of the project, and every name in backticks after it must occur in
/// that file as a word. A name of the form `module::test` without a path must be a test of the workspace; an asterisk at its
/// end stands for any ending.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {}

/// The documents whose tables are checked.
const DOCUMENTS: [&str; 2] = ["docs/paper-map.md", "docs/architecture.md"];

/// Runs the chore.
pub(crate) fn run(_: Args) -> CommandResult {
    let root = root();
    let mut files = BTreeMap::new();
    read_sources(&root, &root.join("crates"), &mut files)?;
    read_sources(&root, &root.join("xtask"), &mut files)?;
    let (mut problems, mut checked) = (Vec::new(), 0);
    for document in DOCUMENTS {
        let path = root.join(document);
        let text = std::fs::read_to_string(&path).map_err(CliError::io("cannot read", &path))?;
        for (index, line) in text.lines().enumerate().filter(|(_, line)| line.starts_with('|')) {
            for cell in line.split('|') {
                for problem in missing(cell, &root, &files, &mut checked) {
                    problems.push(format!("{document}:{}: {problem}", index + 1));
                }
            }
        }
    }
    if problems.is_empty() {
        out!("{checked} names, all of them there")?;
        return Ok(());
    }
    Err(CliError::Found(format!("{} names are nowhere:\n  {}", problems.len(), problems.join("\n  "))))
}

type Sources = BTreeMap<String, String>;

fn read_sources(root: &Path, folder: &Path, files: &mut Sources) -> CommandResult {
    let entries = std::fs::read_dir(folder).map_err(CliError::io("cannot read", folder))?;
    let mut paths: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    paths.sort();
    for path in paths {
        if path.is_dir() {
            read_sources(root, &path, files)?;
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = std::fs::read_to_string(&path).map_err(CliError::io("cannot read", &path))?;
            let name = path.strip_prefix(root).unwrap_or(&path).to_string_lossy().replace('\\', "/");
            files.insert(name, text);
        }
    }
    Ok(())
}

/// What a cell names and nobody has.
fn missing(cell: &str, root: &Path, files: &Sources, checked: &mut usize) -> Vec<String> {
    let mut problems = Vec::new();
    let mut current: Option<&String> = None;
    // Every second part of a text split at backticks lies between two of them.
    for name in cell.split('`').skip(1).step_by(2) {
        if name.contains('/') && name.contains('.') {
            *checked += 1;
            current = files.get(name);
            if current.is_none() && !root.join(name).exists() {
                problems.push(format!("no file {name}"));
            }
        } else if let Some(text) = current {
            *checked += 1;
            let last = name.rsplit("::").next().unwrap_or(name);
            if !has_word(text, last) {
                problems.push(format!("no {name} in the file named before it"));
            }
        } else if let Some((module, test)) = name.rsplit_once("::").filter(|(module, _)| is_path(module)) {
            *checked += 1;
            let module = module.rsplit("::").next().unwrap_or(module);
            let ends_here =
                |path: &str| path.ends_with(&format!("/{module}.rs")) || path.contains(&format!("/{module}/"));
            let holds = |text: &str| match test.strip_suffix('*') {
                Some(start) => text.contains(&format!("fn {start}")),
                None => text.contains(&format!("fn {test}(")),
            };
            if !files.iter().any(|(path, text)| ends_here(path) && holds(text)) {
                problems.push(format!("no test {name}"));
            }
        }
    }
    problems
}

/// Whether a text is a path of modules in lower case, as those of tests are.
fn is_path(text: &str) -> bool {
    text.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_' || c == ':')
}

fn has_word(text: &str, word: &str) -> bool {
    let is_part = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == '_');
    text.match_indices(word)
        .any(|(at, _)| !is_part(text[..at].chars().next_back()) && !is_part(text[at + word.len()..].chars().next()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_nowhere_is_named() {
        let files = Sources::from([
            ("crates/a/src/salt.rs".to_owned(), "pub struct Salt; fn relu_full() {}".to_owned()),
            ("crates/a/tests/laws.rs".to_owned(), "#[test] fn it_holds() {}".to_owned()),
        ]);
        let find = |cell: &str| missing(cell, Path::new("/nowhere"), &files, &mut 0);
        assert!(find(" `crates/a/src/salt.rs` `Salt`, `relu_full` ").is_empty());
        assert_eq!(find("`crates/a/src/salt.rs` `relu`").len(), 1);
        assert_eq!(find("`crates/a/src/pepper.rs`").len(), 1);
        assert!(find("`laws::it_holds`, `laws::*`, `laws::it_*`").is_empty());
        assert_eq!(find("`laws::it_breaks`").len(), 1);
        assert!(find("`form = \"diag\"`").is_empty());
    }
}
