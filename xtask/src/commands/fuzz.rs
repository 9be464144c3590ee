//! `cargo xtask fuzz`: the coverage-guided fuzzers of `crates/fuzz`, one after the other.

use super::ci::root;
use salt_cli::commands::CommandResult;
use salt_cli::{CliError, out};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

/// Fuzz every reader of files, one after the other, and print how many inputs each was tried with.
///
/// Needs a C++ compiler beside stable Rust. What is found interesting is kept and starts the next run; an input that breaks something
/// is kept too and named, and ends its reader's turn. Ends with exit code 1 if there was one.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Only these readers, separated by commas
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    only: Vec<String>,
    /// Time for each reader
    #[arg(long, default_value_t = 900, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    seconds: u32,
    /// Memory of a fuzzing process, beyond which an input counts as one that breaks something
    #[arg(long, default_value_t = 2048, value_name = "MIB")]
    memory: u32,
    /// Longest input
    #[arg(long, default_value_t = 65_536, value_name = "BYTES")]
    longest: u32,
    /// Build the fuzzers and stop
    #[arg(long)]
    build_only: bool,
}

/// What came of a reader's turn.
struct Turn {
    reader: String,
    inputs: u64,
    seconds: u64,
    /// Files that broke something.
    found: Vec<PathBuf>,
    succeeded: bool,
}

/// Runs the chore.
pub(crate) fn run(args: Args) -> CommandResult {
    let root = root();
    let readers = readers(&root)?;
    if let Some(unknown) = args.only.iter().find(|name| !readers.contains(name)) {
        return Err(CliError::usage(format!("no reader {unknown:?}; there are {}", readers.join(", "))));
    }
    let target = root.join("target");
    build(&root, &target.join("fuzz"))?;
    if args.build_only {
        return Ok(());
    }
    let mut turns = Vec::new();
    for reader in readers.iter().filter(|name| args.only.is_empty() || args.only.contains(name)) {
        turns.push(turn(reader, &args, &root, &target)?);
    }
    out!("\n| reader | inputs | seconds | found |\n|---|---|---|---|")?;
    for turn in &turns {
        out!("| {} | {} | {} | {} |", turn.reader, turn.inputs, turn.seconds, turn.found.len())?;
    }
    out!("{} inputs", turns.iter().map(|turn| turn.inputs).sum::<u64>())?;
    let found: Vec<String> = turns.iter().flat_map(|turn| &turn.found).map(|path| path.display().to_string()).collect();
    match turns.iter().find(|turn| !turn.succeeded) {
        None => Ok(()),
        Some(turn) if found.is_empty() => {
            Err(CliError::Found(format!("the fuzzer of {} did not run to its end", turn.reader)))
        }
        Some(_) => Err(CliError::Found(format!("{} inputs break something:\n  {}", found.len(), found.join("\n  ")))),
    }
}

/// The names of the readers: the folders of the corpus.
fn readers(root: &Path) -> Result<Vec<String>, CliError> {
    let corpus = root.join("crates/broken-files/corpus");
    let entries = std::fs::read_dir(&corpus).map_err(CliError::io("cannot read", &corpus))?;
    let mut names: Vec<String> = entries
        .flatten()
        .filter(|entry| entry.path().is_dir())
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    Ok(names)
}

/// Builds all fuzzers with coverage counters.
fn build(root: &Path, target: &Path) -> CommandResult {
    let manifest = root.join("crates/fuzz/Cargo.toml");
    // The versions that the workspace is tested with; cargo adds libFuzzer to the copy.
    let lock = root.join("crates/fuzz/Cargo.lock");
    if !lock.exists() {
        std::fs::copy(root.join("Cargo.lock"), &lock).map_err(CliError::io("cannot write", &lock))?;
    }
    let wrapper = std::path::absolute(root.join("crates/fuzz/instrument.sh"));
    let wrapper = wrapper.map_err(CliError::io("cannot resolve", root))?;
    let mut command = Command::new("cargo");
    command.args(["build", "--bins", "--manifest-path"]).arg(&manifest).env("RUSTC_WRAPPER", wrapper);
    // Incremental compilation and coverage counters do not go together.
    command.env("CARGO_TARGET_DIR", target).env("CARGO_INCREMENTAL", "0");
    let status = command.status().map_err(CliError::io("cannot run", Path::new("cargo")))?;
    if status.success() { Ok(()) } else { Err(CliError::Found(format!("the fuzzers cannot be built ({status})"))) }
}

/// Runs one fuzzer.
fn turn(reader: &str, args: &Args, root: &Path, target: &Path) -> Result<Turn, CliError> {
    let (grown, found) = (target.join("fuzz-corpus").join(reader), target.join("fuzz-found").join(reader));
    for folder in [&grown, &found] {
        std::fs::create_dir_all(folder).map_err(CliError::io("cannot create", folder))?;
    }
    let before = files(&found);
    let program = target.join("fuzz/debug").join(reader);
    out!("== {reader}: {} s", args.seconds)?;
    let started = Instant::now();
    let mut command = Command::new(&program);
    command
        .arg(&grown)
        .arg(root.join("crates/broken-files/corpus").join(reader))
        .arg(format!("-max_total_time={}", args.seconds))
        .arg(format!("-rss_limit_mb={}", args.memory))
        .arg(format!("-max_len={}", args.longest))
        .arg(format!("-artifact_prefix={}/", found.display()))
        .args(["-print_final_stats=1", "-timeout=20", "-verbosity=0"])
        .stdout(Stdio::null());
    let output = command.output().map_err(CliError::io("cannot run", &program))?;
    let text = String::from_utf8_lossy(&output.stderr);
    let new: Vec<PathBuf> = files(&found).into_iter().filter(|path| !before.contains(path)).collect();
    if !output.status.success() {
        eprintln!("{}", text.trim());
    }
    let inputs = executed(&text).unwrap_or_default();
    out!("== {reader}: {inputs} inputs, {} found", new.len())?;
    Ok(Turn {
        reader: reader.to_owned(),
        inputs,
        seconds: started.elapsed().as_secs(),
        found: new,
        succeeded: output.status.success(),
    })
}

/// How many inputs libFuzzer says that it tried.
fn executed(text: &str) -> Option<u64> {
    text.lines().find_map(|line| line.strip_prefix("stat::number_of_executed_units:")?.trim().parse().ok())
}

fn files(folder: &Path) -> Vec<PathBuf> {
    std::fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_number_of_inputs_is_read_from_what_libfuzzer_prints() {
        let text =
            "Done 31 runs in 2 second(s)\nstat::number_of_executed_units: 31\nstat::average_exec_per_sec:     15\n";
        assert_eq!((executed(text), executed("stat::new_units_added: 3")), (Some(31), None));
    }

    #[test]
    fn every_reader_has_a_corpus_and_a_fuzzer() {
        let root = root();
        let manifest = std::fs::read_to_string(root.join("crates/fuzz/Cargo.toml")).expect("the fuzzers' manifest");
        let readers = readers(&root).expect("the corpus");
        assert!(readers.len() >= 8, "{readers:?}");
        for reader in readers {
            assert!(manifest.contains(&format!("name = \"{reader}\"")), "{reader} has no fuzzer");
        }
    }
}
