//! One module per subcommand: `Args` says what it takes, `run` does it.

mod data;
mod eval;
mod evaluate;
mod merge;
mod params;
mod parity;
mod predict;
mod pretrain;
mod reading;
mod reproduce;
mod train;

use std::error::Error;

/// What a subcommand returns; the error is printed with its causes and ends the process with exit code 1.
pub(crate) type CommandResult = Result<(), Box<dyn Error>>;

/// The subcommands.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    Data(data::Args),
    Evaluate(evaluate::Args),
    Reproduce(reproduce::Args),
    Train(train::Args),
    Eval(eval::Args),
    Merge(merge::Args),
    Params(params::Args),
    Parity(parity::Args),
    Predict(predict::Args),
    Pretrain(pretrain::Args),
}

impl Command {
    /// Runs the chosen subcommand.
    pub(crate) fn run(self) -> CommandResult {
        match self {
            Self::Data(args) => data::run(args),
            Self::Evaluate(args) => evaluate::run(args),
            Self::Reproduce(args) => reproduce::run(args),
            Self::Train(args) => train::run(args),
            Self::Eval(args) => eval::run(args),
            Self::Merge(args) => merge::run(args),
            Self::Params(args) => params::run(args),
            Self::Parity(args) => parity::run(args),
            Self::Predict(args) => predict::run(args),
            Self::Pretrain(args) => pretrain::run(args),
        }
    }
}
