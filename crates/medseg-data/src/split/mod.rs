//! Who trains, who validates, who tests: official splits, the paper's sizes, folds by patient, tables on disk.

mod folds;
mod records;
mod rule;
mod table;

pub(crate) use records::read_records;

pub use folds::k_folds;
pub use rule::{PaperSizes, seeded_split};
pub use table::{SplitRow, SplitTable};

use serde::{Deserialize, Serialize};

/// The part of a data set that a sample belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Split {
    /// Weights are fitted on it.
    Train,
    /// Choices (epoch, threshold) are made on it.
    Val,
    /// Results are reported on it, once.
    Test,
}

impl std::fmt::Display for Split {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Train => "train",
            Self::Val => "val",
            Self::Test => "test",
        })
    }
}

impl std::str::FromStr for Split {
    type Err = String;

    /// Reads `train`, `training`, `val`, `valid`, `validation`, `test` or `testing`, in capitals or not.
    fn from_str(text: &str) -> Result<Self, String> {
        match text.to_lowercase().as_str() {
            "train" | "training" => Ok(Self::Train),
            "val" | "valid" | "validation" => Ok(Self::Val),
            "test" | "testing" => Ok(Self::Test),
            _ => Err(format!("expected train, val or test, found {text:?}")),
        }
    }
}
