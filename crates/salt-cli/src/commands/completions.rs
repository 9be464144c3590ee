//! `salt completions`: the program's words for a shell.

use super::CommandResult;
use crate::{Cli, CliError};
use clap::CommandFactory;
use clap_complete::{Shell, generate};
use std::io::Write;

/// Print completions for a shell, for example `salt completions bash > ~/.local/share/bash-completion/completions/salt`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The shell
    #[arg(value_enum)]
    shell: Shell,
}

/// Runs the command.
pub(super) fn run(args: Args) -> CommandResult {
    let mut text = Vec::new();
    generate(args.shell, &mut Cli::command(), "salt", &mut text);
    std::io::stdout().lock().write_all(&text).map_err(CliError::Output)
}
