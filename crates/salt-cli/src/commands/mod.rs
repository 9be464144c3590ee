//! One module per subcommand: `Args` says what it takes, `run` does it.

mod completions;
mod data;
mod evaluate;
mod export;
mod inspect;
mod man;
mod merge;
mod predict;
mod reading;
pub mod reproduce;
mod score;
#[cfg(feature = "remote")]
mod serve_device;
mod train;

use crate::error::CliError;
use medseg_train::device::watched;

/// What a subcommand returns; [`exit_code`](crate::exit_code) says how the process then ends.
pub type CommandResult = Result<(), CliError>;

/// The subcommands, in the order of a day's work.
#[derive(Debug, clap::Subcommand)]
#[allow(missing_docs, reason = "the help of a subcommand is the documentation of its arguments")]
pub enum Command {
    Data(data::Args),
    Train(train::Args),
    Score(score::Args),
    Predict(predict::Args),
    Export(export::Args),
    Merge(merge::Args),
    Inspect(inspect::Args),
    Evaluate(evaluate::Args),
    Reproduce(reproduce::Args),
    #[cfg(feature = "remote")]
    ServeDevice(serve_device::Args),
    Completions(completions::Args),
    Man(man::Args),
}

impl Command {
    /// Runs the chosen subcommand.
    ///
    /// # Errors
    /// Whatever it could not do.
    pub fn run(self) -> CommandResult {
        let is_failure = |error: &CliError| !error.is_stop() && !error.is_closed_pipe();
        watched(|| self.chosen(), |ended| ended.as_ref().is_err_and(is_failure))?
    }

    fn chosen(self) -> CommandResult {
        match self {
            Self::Data(args) => data::run(args),
            Self::Train(args) => train::run(args),
            Self::Score(args) => score::run(args),
            Self::Predict(args) => predict::run(args),
            Self::Export(args) => export::run(args),
            Self::Merge(args) => merge::run(args),
            Self::Inspect(args) => inspect::run(args),
            Self::Evaluate(args) => evaluate::run(args),
            Self::Reproduce(args) => reproduce::run(args),
            #[cfg(feature = "remote")]
            Self::ServeDevice(args) => serve_device::run(args),
            Self::Completions(args) => completions::run(args),
            Self::Man(args) => man::run(args),
        }
    }
}
