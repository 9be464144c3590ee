//! One module per chore: `Args` says what it takes, `run` does it.

mod api;
mod bench;
mod ci;
mod crates;
mod fuzz;
mod memory;
mod names;
mod params;
mod parity;
mod pretrain;
mod release;
mod supply;

use salt_cli::CliError;
use salt_cli::commands::{CommandResult, reproduce};

/// The chores.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    Reproduce(Box<reproduce::Args>),
    Api(api::Args),
    Bench(bench::Args),
    Ci(ci::Args),
    Crates(crates::Args),
    Fuzz(fuzz::Args),
    Memory(memory::Args),
    Names(names::Args),
    Params(params::Args),
    Parity(parity::Args),
    Pretrain(pretrain::Args),
    Release(release::Args),
    Supply(supply::Args),
}

impl Command {
    /// Runs the chosen chore.
    pub(crate) fn run(self) -> CommandResult {
        match self {
            Self::Reproduce(args) => reproduce::run(*args),
            Self::Api(args) => api::run(args),
            Self::Bench(args) => bench::run(args),
            Self::Ci(args) => ci::run(args),
            Self::Crates(args) => crates::run(args),
            Self::Fuzz(args) => fuzz::run(args),
            Self::Memory(args) => memory::run(args),
            Self::Names(args) => names::run(args),
            Self::Params(args) => params::run(args),
            Self::Parity(args) => parity::run(args),
            Self::Pretrain(args) => pretrain::run(args),
            Self::Release(args) => release::run(args),
            Self::Supply(args) => supply::run(args),
        }
    }
}

/// A report as JSON.
fn json(report: &impl serde::Serialize) -> Result<String, CliError> {
    let text = serde_json::to_string_pretty(report);
    text.map_err(|error| CliError::Format { format: "JSON", problem: error.to_string() })
}

/// A folder inside `place` that is gone with the value.
fn scratch_folder(place: &std::path::Path) -> Result<tempfile::TempDir, CliError> {
    tempfile::Builder::new()
        .prefix(".partial-")
        .tempdir_in(place)
        .map_err(CliError::io("cannot create a folder in", place))
}
