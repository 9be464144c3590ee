//! `salt man`: manual pages.

use super::CommandResult;
use crate::output_folder::write_named;
use crate::{Cli, CliError};
use clap::CommandFactory;
use clap_mangen::Man;
use std::path::{Path, PathBuf};

/// Write manual pages, one for the program and one for each command, for example into ~/.local/share/man/man1.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Where the pages go; made if it does not exist
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Replace pages that are there
    #[arg(long)]
    overwrite: bool,
}

/// Runs the command.
pub(super) fn run(args: Args) -> CommandResult {
    std::fs::create_dir_all(&args.out).map_err(CliError::io("cannot create", &args.out))?;
    let mut command = Cli::command();
    command.build();
    page(&command, "salt", &args.out, args.overwrite)
}

/// The page of a command and those of its own commands.
fn page(command: &clap::Command, name: &str, folder: &Path, overwrite: bool) -> CommandResult {
    let mut text = Vec::new();
    Man::new(command.clone()).title(name).render(&mut text).map_err(CliError::Output)?;
    let path = folder.join(format!("{name}.1"));
    write_named(&path, &text, overwrite)?;
    out!("{}", path.display())?;
    for inner in command.get_subcommands().filter(|inner| !inner.is_hide_set() && inner.get_name() != "help") {
        page(inner, &format!("{name}-{}", inner.get_name()), folder, overwrite)?;
    }
    Ok(())
}
