//! One module per subcommand: `Args` says what it takes, `run` does it.

use std::error::Error;

/// What a subcommand returns; the error is printed with its causes and ends the process with exit code 1.
pub(crate) type CommandResult = Result<(), Box<dyn Error>>;

/// The subcommands.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {}

impl Command {
    /// Runs the chosen subcommand.
    pub(crate) fn run(self) -> CommandResult {
        match self {}
    }
}
