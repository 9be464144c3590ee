//! The command line `salt`, as a library.
//!
//! Every subcommand is a thin shell around one crate: it reads arguments, calls the library that does the work, and prints what
//! the library returns. `cargo xtask reproduce` calls the same code.
//!
//! ```
//! use clap::Parser;
//!
//! let folder = tempfile::tempdir()?;
//! let arguments = ["salt", "data", "synth", "octa", "--size", "64", "--train", "1", "--test", "1", "--out"];
//! let arguments = arguments.map(Into::into).into_iter().chain([folder.path().as_os_str().to_owned()]);
//! salt_cli::Cli::parse_from(arguments).command.run()?;
//! assert!(folder.path().join("ROSE-1/SVC/test/img").is_dir());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

/// Prints a line to standard output: [`println!`] as an expression whose error is [`CliError::Output`], so that a reader that went away is an
/// error like any other, not a panic.
#[macro_export]
macro_rules! out {
    ($($arguments:tt)*) => {
        std::io::Write::write_fmt(&mut std::io::stdout().lock(), format_args!("{}\n", format_args!($($arguments)*)))
            .map_err($crate::CliError::Output)
    };
}

mod cache;
pub mod commands;
mod error;
mod live_view;
mod model_argument;
mod output_folder;
mod picture;
mod precision_argument;
mod progress;
mod shell;
mod signals;
mod text_argument;

pub use error::CliError;
pub use signals::stop_on_signal;

use clap::Parser;
use std::error::Error;
use std::process::ExitCode;

/// What the exit codes mean; printed by `--help`.
const EXIT_CODES: &str = "Exit codes: 0 done, 1 failed (the reason is on standard error), 2 wrong usage, \
75 stopped with everything saved: run the same command again, 130 ended by a second Ctrl-C.";

/// Fine-tune Segment Anything on vessel images with SALT, and evaluate what comes out.
#[derive(Debug, Parser)]
#[command(name = "salt", version, propagate_version = true, after_help = EXIT_CODES)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: commands::Command,
}

/// What a program does first: the allocator keeps freed memory for the next tensors, and what the libraries log goes to standard error
/// (`RUST_LOG` filters it, warnings are shown by default). Not those of burn-remote: it warns of every message that a lost server no longer
/// gets, hundreds of them, where our error says it once, and of every client that ends.
pub fn prepare_process() {
    #[cfg(feature = "cpu")]
    burn_kernels::keep_freed_memory();
    tracing_subscriber::fmt()
        .with_env_filter(
            tracing_subscriber::EnvFilter::try_from_default_env()
                .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("warn,burn_remote=error")),
        )
        .with_writer(std::io::stderr)
        .without_time()
        .init();
}

/// Exit code of work that was asked to stop and saved its state: schedulers take it for "try again".
const TRY_AGAIN: u8 = 75;

/// Prints an error with its causes and says with which code the process ends.
pub fn exit_code(result: commands::CommandResult) -> ExitCode {
    let error = match result {
        Ok(()) => return ExitCode::SUCCESS,
        Err(error) if error.is_closed_pipe() => return ExitCode::SUCCESS,
        Err(error) => error,
    };
    if error.is_stop() {
        eprintln!("{error}");
        return ExitCode::from(TRY_AGAIN);
    }
    eprintln!("error: {error}");
    let mut source = error.source();
    while let Some(cause) = source {
        eprintln!("  caused by: {cause}");
        source = cause.source();
    }
    ExitCode::FAILURE
}
