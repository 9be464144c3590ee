//! `cargo xtask supply`: what the project is made of, and whether it may be.

use super::ci::root;
use super::release::host;
use salt_cli::commands::CommandResult;
use salt_cli::{CliError, out};
use serde::Deserialize;
use std::path::Path;
use std::process::Command;

/// Check where dependencies come from, which Rust they need, and their licences, as far as the lock file and their manifests tell.
///
/// Every dependency comes from crates.io with a checksum, none asks for a newer Rust than the workspace declares, and none has a licence
/// that `.cargo/deny.toml` does not allow. Where cargo-deny is installed it checks the same from the licences' texts, and bans beside
/// them; advisories need a connection and are checked by hand (docs/development.md).
#[derive(Debug, clap::Args)]
pub(crate) struct Args {}

#[derive(Debug, Deserialize)]
struct Metadata {
    packages: Vec<Package>,
    resolve: Resolve,
}

/// What is used of the packages: the lock file also holds what features would bring that nobody asks for.
#[derive(Debug, Deserialize)]
struct Resolve {
    nodes: Vec<Node>,
}

#[derive(Debug, Deserialize)]
struct Node {
    id: String,
}

#[derive(Debug, Deserialize)]
struct Package {
    id: String,
    name: String,
    version: String,
    /// None for our own crates.
    source: Option<String>,
    license: Option<String>,
    rust_version: Option<String>,
}

const REGISTRY: &str = "registry+https://github.com/rust-lang/crates.io-index";

/// Runs the chore.
pub(crate) fn run(_: Args) -> CommandResult {
    let root = root();
    let metadata = metadata(&root)?;
    let manifest: toml::Table = read(&root.join("Cargo.toml"))?;
    let lock: toml::Table = read(&root.join("Cargo.lock"))?;
    let deny: toml::Table = read(&root.join(".cargo/deny.toml"))?;
    let newest = manifest["workspace"]["package"]["rust-version"].as_str().unwrap_or_default().to_owned();
    let licenses = &deny["licenses"];
    let used =
        metadata.packages.iter().filter(|package| metadata.resolve.nodes.iter().any(|node| node.id == package.id));
    let used: Vec<&Package> = used.filter(|package| package.source.is_some()).collect();
    let mut problems: Vec<String> =
        used.iter().flat_map(|package| wrong(package, &newest, &allowed(licenses, &package.name))).collect();
    problems.extend(without_checksum(&lock));
    if !problems.is_empty() {
        return Err(CliError::Found(format!(
            "{} dependencies may not be there:\n  {}",
            problems.len(),
            problems.join("\n  ")
        )));
    }
    let foreign = metadata.packages.iter().filter(|package| package.source.is_some()).count();
    out!("{foreign} dependencies, all from crates.io by checksum, for Rust {newest}, under licences that are allowed")?;
    cargo_deny(&root)
}

fn metadata(root: &Path) -> Result<Metadata, CliError> {
    let mut command = Command::new("cargo");
    // What is built on this kind of machine: for all others cargo would first have to download hundreds of crates.
    command.args(["metadata", "--locked", "--format-version", "1", "--filter-platform", &host()?]).current_dir(root);
    let output = command.output().map_err(CliError::io("cannot run", Path::new("cargo")))?;
    if !output.status.success() {
        return Err(CliError::Found(format!(
            "cargo metadata failed: {}",
            String::from_utf8_lossy(&output.stderr).trim()
        )));
    }
    serde_json::from_slice(&output.stdout)
        .map_err(|error| CliError::Format { format: "JSON", problem: error.to_string() })
}

fn read(path: &Path) -> Result<toml::Table, CliError> {
    let text = std::fs::read_to_string(path).map_err(CliError::io("cannot read", path))?;
    text.parse().map_err(|error: toml::de::Error| CliError::file(path, error.to_string()))
}

/// The licences that a package may have.
fn allowed<'a>(licenses: &'a toml::Value, package: &str) -> Vec<&'a str> {
    let list = |value: Option<&'a toml::Value>| value.and_then(toml::Value::as_array).into_iter().flatten();
    let exceptions = list(licenses.get("exceptions"))
        .filter(|exception| exception.get("crate").and_then(toml::Value::as_str) == Some(package))
        .flat_map(|exception| list(exception.get("allow")));
    list(licenses.get("allow")).chain(exceptions).filter_map(toml::Value::as_str).collect()
}

/// What is wrong with a dependency.
fn wrong(package: &Package, newest: &str, allowed: &[&str]) -> Vec<String> {
    let Some(source) = &package.source else { return Vec::new() };
    let name = format!("{} {}", package.name, package.version);
    let mut problems = Vec::new();
    if source != REGISTRY {
        problems.push(format!("{name}: comes from {source}"));
    }
    if let Some(needed) = &package.rust_version
        && version(needed) > version(newest)
    {
        problems.push(format!("{name}: needs Rust {needed}, the workspace declares {newest}"));
    }
    match &package.license {
        // Without an expression the text decides, which takes cargo-deny.
        None => {}
        Some(license) if permits(license, allowed) => {}
        Some(license) => problems.push(format!("{name}: licence {license}")),
    }
    problems
}

/// The numbers of a version, as many as it has.
fn version(text: &str) -> [u64; 3] {
    let mut numbers = text.split(['.', '-']).map(|part| part.parse().unwrap_or(0));
    [(); 3].map(|()| numbers.next().unwrap_or(0))
}

/// Whether an SPDX expression leaves a choice that is allowed: of alternatives one, of parts joined by `AND` each.
fn permits(expression: &str, allowed: &[&str]) -> bool {
    let tokens: Vec<String> = expression
        .replace('/', " OR ")
        .replace('(', " ( ")
        .replace(')', " ) ")
        .replace(" WITH ", "\u{0}WITH\u{0}")
        .split_whitespace()
        .map(|token| token.replace('\u{0}', " "))
        .collect();
    let mut at = 0;
    let permitted = alternatives(&tokens, &mut at, allowed);
    permitted && at == tokens.len()
}

fn alternatives(tokens: &[String], at: &mut usize, allowed: &[&str]) -> bool {
    let mut any = together(tokens, at, allowed);
    while tokens.get(*at).is_some_and(|token| token == "OR") {
        *at += 1;
        any |= together(tokens, at, allowed);
    }
    any
}

fn together(tokens: &[String], at: &mut usize, allowed: &[&str]) -> bool {
    let mut all = single(tokens, at, allowed);
    while tokens.get(*at).is_some_and(|token| token == "AND") {
        *at += 1;
        all &= single(tokens, at, allowed);
    }
    all
}

fn single(tokens: &[String], at: &mut usize, allowed: &[&str]) -> bool {
    let Some(token) = tokens.get(*at) else { return false };
    *at += 1;
    if token != "(" {
        return allowed.contains(&token.as_str());
    }
    let inside = alternatives(tokens, at, allowed);
    let closed = tokens.get(*at).is_some_and(|token| token == ")");
    *at += 1;
    inside && closed
}

/// Locked packages from elsewhere without a checksum.
fn without_checksum(lock: &toml::Table) -> Vec<String> {
    let packages = lock.get("package").and_then(toml::Value::as_array);
    packages
        .into_iter()
        .flatten()
        .filter(|package| package.get("source").is_some() && package.get("checksum").is_none())
        .map(|package| format!("{}: no checksum in Cargo.lock", package["name"]))
        .collect()
}

/// The same by a tool that reads the licences' texts, where it is installed.
fn cargo_deny(root: &Path) -> CommandResult {
    let installed =
        Command::new("cargo").args(["deny", "--version"]).output().is_ok_and(|output| output.status.success());
    if !installed {
        out!(
            "NOT CHECKED: cargo-deny is not installed, so licences were taken from manifests and bans were not looked at"
        )?;
        return Ok(());
    }
    let mut command = Command::new("cargo");
    command.args(["deny", "--locked", "--offline", "check", "licenses", "bans", "sources"]).current_dir(root);
    let status = command.status().map_err(CliError::io("cannot run", Path::new("cargo")))?;
    if status.success() { Ok(()) } else { Err(CliError::Found(format!("cargo deny failed ({status})"))) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn package(license: &str, rust: &str, source: &str) -> Package {
        Package {
            id: "a".into(),
            name: "a".into(),
            version: "1.0.0".into(),
            source: Some(source.into()),
            license: Some(license.into()),
            rust_version: Some(rust.into()),
        }
    }

    #[test]
    fn an_expression_is_permitted_where_it_leaves_an_allowed_choice() {
        let allowed = ["MIT", "Apache-2.0", "Apache-2.0 WITH LLVM-exception"];
        for good in [
            "MIT",
            "GPL-3.0 OR MIT",
            "MIT/Apache-2.0",
            "(MIT OR GPL-2.0) AND Apache-2.0",
            "Apache-2.0 WITH LLVM-exception",
        ] {
            assert!(permits(good, &allowed), "{good}");
        }
        for bad in ["GPL-3.0", "MIT AND GPL-3.0", "(MIT OR Apache-2.0) AND GPL-2.0", "", "(MIT", "MIT)"] {
            assert!(!permits(bad, &allowed), "{bad}");
        }
    }

    #[test]
    fn an_exception_holds_for_its_crate_alone() {
        let licenses: toml::Value = "allow = [\"MIT\"]\nexceptions = [{ crate = \"roots\", allow = [\"Data\"] }]"
            .parse::<toml::Table>()
            .expect("a table")
            .into();
        assert_eq!(allowed(&licenses, "roots"), ["MIT", "Data"]);
        assert_eq!(allowed(&licenses, "other"), ["MIT"]);
    }

    #[test]
    fn what_may_not_be_there_is_named() {
        let problems = |package: Package| wrong(&package, "1.95", &["MIT"]).join("; ");
        assert_eq!(problems(package("MIT", "1.95.0", REGISTRY)), "");
        assert!(problems(package("MIT", "1.96", REGISTRY)).contains("needs Rust 1.96"));
        assert!(problems(package("GPL-3.0", "1.60", REGISTRY)).contains("licence GPL-3.0"));
        assert!(problems(package("MIT", "1.60", "git+https://example.invalid/a")).contains("comes from git+"));
        let lock: toml::Table = "[[package]]\nname = \"a\"\nversion = \"1\"\nsource = \"x\"\n".parse().expect("a lock");
        assert_eq!(without_checksum(&lock), ["\"a\": no checksum in Cargo.lock"]);
    }
}
