//! `cargo xtask`: the project's chores, and the comparison that the readme begins with.
//!
//! What users need is the program `salt` (crate `salt-cli`); what is here serves the project itself: the paper's parameter
//! counts, stage-by-stage comparisons with the original, the pre-training of sam-mini and sam2-mini. `cargo xtask reproduce` is `salt reproduce`.

mod commands;

use clap::Parser;
use std::process::ExitCode;

/// Chores of SALT-rs.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", version, propagate_version = true)]
struct Cli {
    #[command(subcommand)]
    command: commands::Command,
}

fn main() -> ExitCode {
    salt_cli::prepare_process();
    salt_cli::exit_code(Cli::parse().command.run())
}
