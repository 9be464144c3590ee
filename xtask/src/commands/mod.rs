//! One module per chore: `Args` says what it takes, `run` does it.

mod bench;
mod ci;
mod memory;
mod names;
mod params;
mod parity;
mod pretrain;

use salt_cli::CliError;
use salt_cli::commands::{CommandResult, reproduce};

/// The chores.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    Reproduce(Box<reproduce::Args>),
    Bench(bench::Args),
    Ci(ci::Args),
    Memory(memory::Args),
    Names(names::Args),
    Params(params::Args),
    Parity(parity::Args),
    Pretrain(pretrain::Args),
}

impl Command {
    /// Runs the chosen chore.
    pub(crate) fn run(self) -> CommandResult {
        match self {
            Self::Reproduce(args) => reproduce::run(*args),
            Self::Bench(args) => bench::run(args),
            Self::Ci(args) => ci::run(args),
            Self::Memory(args) => memory::run(args),
            Self::Names(args) => names::run(args),
            Self::Params(args) => params::run(args),
            Self::Parity(args) => parity::run(args),
            Self::Pretrain(args) => pretrain::run(args),
        }
    }
}

/// A report as JSON.
fn json(report: &impl serde::Serialize) -> Result<String, CliError> {
    let text = serde_json::to_string_pretty(report);
    text.map_err(|error| CliError::Format { format: "JSON", problem: error.to_string() })
}
