//! The program `salt`.

use clap::Parser;
use std::process::ExitCode;

fn main() -> ExitCode {
    salt_cli::prepare_process();
    salt_cli::exit_code(salt_cli::Cli::parse().command.run())
}
