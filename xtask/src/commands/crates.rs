//! `cargo xtask crates`: whether every crate says what it is.

use super::ci::root;
use salt_cli::commands::CommandResult;
use salt_cli::{CliError, out};
use std::path::{Path, PathBuf};

/// Check that every crate under `crates` has a readme with an example, and a description, keywords, categories and a repository that
/// crates.io would take.
///
/// The repository has to be the placeholder that nobody can mistake for an address, until the project has one.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {}

/// In the domain that is reserved for names that lead nowhere.
const PLACEHOLDER: &str = "https://example.invalid/salt-rs";
/// The limits of crates.io.
const MOST_WORDS: usize = 5;
const LONGEST_WORD: usize = 20;

/// Runs the chore.
pub(crate) fn run(_: Args) -> CommandResult {
    let root = root();
    let workspace = manifest(&root)?;
    let shared =
        table(&workspace, "workspace").and_then(|workspace| table(workspace, "package")).cloned().unwrap_or_default();
    let (mut problems, mut checked) = (Vec::new(), 0);
    for folder in folders(&root.join("crates"))? {
        let manifest = manifest(&folder)?;
        // The fuzzers are a workspace of their own, which nobody takes anything from.
        if manifest.contains_key("workspace") {
            continue;
        }
        let name = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let package = table(&manifest, "package").cloned().unwrap_or_default();
        let readme = std::fs::read_to_string(folder.join("README.md")).ok();
        problems.extend(
            wrong(&name, &package, &shared, readme.as_deref()).into_iter().map(|problem| format!("{name}: {problem}")),
        );
        checked += 1;
    }
    if problems.is_empty() {
        out!("{checked} crates, each of which says what it is")?;
        return Ok(());
    }
    Err(CliError::Found(format!("{} things are missing or wrong:\n  {}", problems.len(), problems.join("\n  "))))
}

fn folders(place: &Path) -> Result<Vec<PathBuf>, CliError> {
    let entries = std::fs::read_dir(place).map_err(CliError::io("cannot read", place))?;
    let mut folders: Vec<PathBuf> =
        entries.flatten().map(|entry| entry.path()).filter(|path| path.join("Cargo.toml").is_file()).collect();
    folders.sort();
    Ok(folders)
}

fn manifest(folder: &Path) -> Result<toml::Table, CliError> {
    let path = folder.join("Cargo.toml");
    let text = std::fs::read_to_string(&path).map_err(CliError::io("cannot read", &path))?;
    text.parse().map_err(|error: toml::de::Error| CliError::file(&path, error.to_string()))
}

fn table<'a>(table: &'a toml::Table, key: &str) -> Option<&'a toml::Table> {
    table.get(key).and_then(toml::Value::as_table)
}

/// What a crate lacks.
fn wrong(name: &str, package: &toml::Table, shared: &toml::Table, readme: Option<&str>) -> Vec<String> {
    let mut problems = Vec::new();
    // Its own value, or the workspace's where it says `key.workspace = true`.
    let value = |key: &str| match package.get(key) {
        Some(toml::Value::Table(_)) => shared.get(key),
        own => own,
    };
    let text = |key: &str| value(key).and_then(toml::Value::as_str).unwrap_or_default().to_owned();
    let mut expect = |holds: bool, problem: String| {
        if !holds {
            problems.push(problem);
        }
    };
    expect(text("description").len() > 20, "description: expected a sentence".into());
    expect(text("readme") == "README.md", format!("readme: expected \"README.md\", found {:?}", text("readme")));
    let found = text("repository");
    expect(found == PLACEHOLDER, format!("repository: expected the placeholder {PLACEHOLDER}, found {found:?}"));
    expect(
        text("license") == "MIT OR Apache-2.0",
        format!("license: expected MIT OR Apache-2.0, found {:?}", text("license")),
    );
    for key in ["keywords", "categories"] {
        let words: Vec<&str> =
            value(key).and_then(toml::Value::as_array).into_iter().flatten().filter_map(toml::Value::as_str).collect();
        expect(
            (1..=MOST_WORDS).contains(&words.len()),
            format!("{key}: expected 1 to {MOST_WORDS}, found {}", words.len()),
        );
        let plain = |word: &&str| {
            word.starts_with(|first: char| first.is_ascii_alphanumeric())
                && word.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | ':'))
                && (key == "categories" || word.len() <= LONGEST_WORD)
        };
        let odd = words.iter().find(|word| !plain(word));
        expect(odd.is_none(), format!("{key}: crates.io does not take {odd:?}"));
    }
    match readme {
        None => problems.push("no README.md".into()),
        Some(readme) => {
            let title = readme.lines().next().unwrap_or_default();
            if title != format!("# {name}") {
                problems.push(format!("README.md: expected the title \"# {name}\", found {title:?}"));
            }
            if !readme.contains("\n```") {
                problems.push("README.md: expected an example".into());
            }
        }
    }
    problems
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_is_named() {
        let shared: toml::Table =
            format!("license = \"MIT OR Apache-2.0\"\nrepository = \"{PLACEHOLDER}\"").parse().expect("a table");
        let good: toml::Table =
            "description = \"Writes a file whole or not at all\"\nreadme = \"README.md\"\nlicense.workspace = true\n\
            repository.workspace = true\nkeywords = [\"file\"]\ncategories = [\"filesystem\"]"
                .parse()
                .expect("a table");
        let readme = "# atomic-file\n\nText.\n\n```\n1 + 1\n```\n";
        assert!(wrong("atomic-file", &good, &shared, Some(readme)).is_empty());
        assert_eq!(wrong("atomic-file", &good, &shared, None), ["no README.md"]);
        assert_eq!(wrong("other", &good, &shared, Some("# atomic-file\n")).len(), 2);
        for (key, value) in [
            ("keywords", toml::Value::from(vec!["a", "b", "c", "d", "e", "f"])),
            ("keywords", vec!["a word that is far too long"].into()),
            ("repository", "https://somewhere.example/real".into()),
            ("readme", "docs.md".into()),
            ("description", "".into()),
        ] {
            let mut bad = good.clone();
            bad.insert(key.into(), value);
            let problems = wrong("atomic-file", &bad, &shared, Some(readme));
            assert!(
                problems.iter().all(|problem| problem.starts_with(key)) && !problems.is_empty(),
                "{key}: {problems:?}"
            );
        }
    }
}
