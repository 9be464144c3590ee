//! `cargo xtask params`: the paper's parameter counts beside the counts of the module tree.

use super::CommandResult;
use medseg_study::parameters::Parameters;
use salt_cli::out;

/// Print every parameter count that the SALT paper publishes next to the count from the module tree.
///
/// The models are built from their shapes only: no weight is allocated and no checkpoint is needed. Each row says whether
/// the published figure is exact, within rounding or not reproducible, and why.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Print JSON instead of a table
    #[arg(long)]
    json: bool,
}

/// Runs the command.
pub(crate) fn run(args: Args) -> CommandResult {
    let parameters = Parameters::paper()?;
    if args.json {
        out!("{}", super::json(&parameters)?)?;
    } else {
        print!("{parameters}");
    }
    Ok(())
}
