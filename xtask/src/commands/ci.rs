//! `cargo xtask ci`: everything that a change has to pass.

mod driver;

use salt_cli::commands::CommandResult;
use salt_cli::{CliError, out};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

/// Run every check of the project, in the order in which a mistake shows soonest, and say how long each took.
///
/// The last one is `cargo test`, exactly as the readme names it. docs/development.md lists the durations.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Only these checks, by name, separated by commas
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    only: Vec<String>,
    /// Print the checks and stop
    #[arg(long)]
    list: bool,
}

/// A check: a name, variables of the environment, a command whose words are divided by blanks.
struct Check {
    name: &'static str,
    environment: &'static [(&'static str, &'static str)],
    command: &'static str,
    /// What the machine lacks for it, where it lacks something.
    lacks: fn() -> Option<String>,
}

/// A check that needs nothing but the toolchain.
const fn check(name: &'static str, command: &'static str) -> Check {
    Check { name, environment: &[], command, lacks: || None }
}

const CHECKS: &[Check] = &[
    check("format", "cargo fmt --all --check"),
    check("names", "cargo xtask names"),
    check("crates", "cargo xtask crates"),
    check("supply", "cargo xtask supply"),
    check("lint", "cargo clippy --workspace --all-targets --locked -- -D warnings"),
    Check {
        environment: &[("RUSTDOCFLAGS", "-D warnings")],
        ..check("docs", "cargo doc --workspace --no-deps --locked")
    },
    // After the documentation, whose checks of the dependencies it uses.
    check("interface", "cargo xtask api"),
    // What users of Burn get of the crates that do without it otherwise.
    check(
        "burn features",
        "cargo clippy -p medseg-data -p medseg-metrics --features medseg-data/burn,medseg-metrics/burn --all-targets --locked -- -D warnings",
    ),
    // Without default features, the libraries that do without Burn: seconds each. The others would compile Burn once more.
    check(
        "no features",
        "cargo check -p atomic-file -p keyed-random -p cpu-kernels -p medseg-metrics -p medseg-data -p sam-preprocess -p salt-linalg --no-default-features --lib --locked",
    ),
    // The GPU backends in every crate, type-checked. The build script of the CUDA backend downloads LLVM unless it is told that this is
    // a documentation build, hence DOCS_RS for that one check.
    check("wgpu", "cargo check --workspace --features salt-cli/wgpu --locked"),
    Check {
        environment: &[("DOCS_RS", "1")],
        ..check("cuda", "cargo check --workspace --features salt-cli/cuda --locked")
    },
    // The GPU path, run: in a build of its own (see the profile in Cargo.toml), on a software device where there is no other.
    Check {
        lacks: driver::missing,
        ..check("gpu", "cargo test --profile gpu -p gpu-tests --features wgpu --test gpu --locked")
    },
    // Trainings on the devices of other processes: Burn once more, with what speaks to a network. Asked for by name alone.
    check("remote", "cargo test --profile remote -p salt-cli --features remote --test remote --locked"),
    check(
        "burn tests",
        "cargo test -p medseg-data -p medseg-metrics --features medseg-data/burn,medseg-metrics/burn --locked",
    ),
    // Last, and exactly the command of README.md, so that the closing lines are the tests' own.
    check("test", "cargo test"),
];

/// What runs only where it is asked for: a build of its own with a hundred and fifty crates more.
const BY_NAME: [&str; 1] = ["remote"];

/// Runs the checks.
pub(crate) fn run(args: Args) -> CommandResult {
    if let Some(unknown) = args.only.iter().find(|name| !CHECKS.iter().any(|check| check.name == name.as_str())) {
        let known: Vec<&str> = CHECKS.iter().map(|check| check.name).collect();
        return Err(CliError::usage(format!("no check {unknown:?}; there are {}", known.join(", "))));
    }
    let root = root();
    let is_chosen = |check: &&Check| match args.only.is_empty() {
        true => !BY_NAME.contains(&check.name),
        false => args.only.iter().any(|name| name == check.name),
    };
    for check in CHECKS.iter().filter(is_chosen) {
        out!("== {}: {}", check.name, check.command)?;
        if args.list {
            continue;
        }
        if let Some(what) = (check.lacks)() {
            out!("!!\n!! {} WAS SKIPPED: {what}\n!!", check.name)?;
            continue;
        }
        let started = Instant::now();
        let mut words = check.command.split(' ');
        let program = words.next().unwrap_or_default();
        let mut command = Command::new(program);
        command.args(words).envs(check.environment.iter().copied()).current_dir(&root);
        let status = command.status().map_err(CliError::io("cannot run", Path::new(program)))?;
        out!("== {} took {} s", check.name, started.elapsed().as_secs())?;
        if !status.success() {
            return Err(CliError::Found(format!("{} failed ({status})", check.name)));
        }
    }
    Ok(())
}

/// The folder of the workspace.
pub(crate) fn root() -> PathBuf {
    let manifest =
        std::env::var_os("CARGO_MANIFEST_DIR").map_or_else(|| env!("CARGO_MANIFEST_DIR").into(), PathBuf::from);
    manifest.join("..")
}
