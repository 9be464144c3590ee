//! `cargo xtask`: the command line of SALT-rs.
//!
//! Every subcommand is a thin shell around one crate: it reads arguments, calls the library that does the work, and prints
//! what the library returns. Exit codes: 0 success, 1 the command failed (the reason is on standard error), 2 wrong usage.

mod commands;

use clap::Parser;
use std::process::ExitCode;

/// Fine-tune Segment Anything on vessel images with SALT, and evaluate what comes out.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", version, propagate_version = true)]
struct Cli {
    #[command(subcommand)]
    command: commands::Command,
}

fn main() -> ExitCode {
    tracing_subscriber::fmt()
        .with_env_filter(
            tracing_subscriber::EnvFilter::try_from_default_env()
                .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("warn")),
        )
        .with_writer(std::io::stderr)
        .without_time()
        .init();
    match Cli::parse().command.run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            let mut source = error.source();
            while let Some(cause) = source {
                eprintln!("  caused by: {cause}");
                source = cause.source();
            }
            ExitCode::FAILURE
        }
    }
}
