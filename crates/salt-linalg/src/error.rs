//! What can go wrong, with the numbers that say why.

use std::fmt;

use crate::algorithm::Algorithm;

/// Why a decomposition was refused or failed.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum SvdError {
    /// The matrix has no rows or no columns.
    #[error("the matrix is empty: it has {rows} rows and {cols} columns, and at least one of each is needed")]
    Empty {
        /// Rows found.
        rows: usize,
        /// Columns found.
        cols: usize,
    },

    /// The matrix holds a NaN or an infinity.
    #[error("the {rows} x {cols} matrix holds {value} at row {row}, column {col}; every entry must be finite")]
    NotFinite {
        /// Rows of the matrix.
        rows: usize,
        /// Columns of the matrix.
        cols: usize,
        /// Row of the first offending entry, in column-major order.
        row: usize,
        /// Column of the first offending entry.
        col: usize,
        /// The entry.
        value: f64,
    },

    /// The rank asked for is zero or larger than min(rows, cols).
    #[error("rank {rank} is out of range for a {rows} x {cols} matrix: it must lie between 1 and {limit}")]
    RankOutOfRange {
        /// Rank asked for.
        rank: usize,
        /// Largest admissible rank, min(rows, cols).
        limit: usize,
        /// Rows of the matrix.
        rows: usize,
        /// Columns of the matrix.
        cols: usize,
    },

    /// Rank plus oversampling exceeds min(rows, cols).
    #[error(
        "rank {rank} with oversampling {oversampling} needs {} sketch columns, but a {rows} x {cols} matrix admits at most {limit}",
        rank.saturating_add(*oversampling)
    )]
    OversamplingTooLarge {
        /// Rank asked for.
        rank: usize,
        /// Extra sketch columns asked for.
        oversampling: usize,
        /// Largest admissible sum, min(rows, cols).
        limit: usize,
        /// Rows of the matrix.
        rows: usize,
        /// Columns of the matrix.
        cols: usize,
    },

    /// An option has a value outside its range.
    #[error("{option} is {value}, but it must be {expected}")]
    InvalidOption {
        /// Name of the option.
        option: &'static str,
        /// The value found, printed.
        value: String,
        /// What is accepted.
        expected: &'static str,
    },

    /// A singular value is larger than the number type can hold.
    #[error(
        "the largest singular value of the {rows} x {cols} matrix is about {value:e}, which does not fit into {number_type}"
    )]
    Overflow {
        /// Rows of the matrix.
        rows: usize,
        /// Columns of the matrix.
        cols: usize,
        /// The singular value in double precision.
        value: f64,
        /// The number type.
        number_type: &'static str,
    },

    /// Not even all components meet the tolerance: it lies below the rounding of the number type.
    #[error(
        "the tolerance {tolerance:e} is below the relative error {achieved:e} that a full decomposition in {number_type} achieves"
    )]
    ToleranceTooSmall {
        /// Relative tolerance asked for.
        tolerance: f64,
        /// Relative error of the full decomposition.
        achieved: f64,
        /// The number type.
        number_type: &'static str,
    },

    /// Every algorithm of the ladder failed; see [`Attempt`] for the reasons in the order they were tried.
    #[error("no algorithm could decompose the {rows} x {cols} matrix: {}", attempts.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
    NoConvergence {
        /// Rows of the matrix.
        rows: usize,
        /// Columns of the matrix.
        cols: usize,
        /// The attempts, first to last.
        attempts: Vec<Attempt>,
    },
}

/// One failed step of the fallback ladder.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Attempt {
    /// The algorithm that was tried.
    pub algorithm: Algorithm,
    /// Why its result was not accepted.
    pub failure: StepFailure,
}

impl fmt::Display for Attempt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.algorithm, self.failure)
    }
}

/// Why one algorithm's result was not accepted.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum StepFailure {
    /// The iteration did not converge.
    #[error("did not converge")]
    NoConvergence,
    /// The library panicked; the panic was caught.
    #[error("the library panicked: {0}")]
    Panicked(String),
    /// The factors hold a NaN or an infinity.
    #[error("returned factors that are not finite")]
    NotFinite,
    /// The problem is outside the range in which this algorithm is accurate.
    #[error("the ratio sigma_min / sigma_max = {ratio:e} is below {limit:e}, where the algorithm loses accuracy")]
    IllConditioned {
        /// Smallest over largest singular value.
        ratio: f64,
        /// Smallest admissible ratio.
        limit: f64,
    },
    /// The a-posteriori check rejected the factors.
    #[error("{quantity} is {found:e}, above the limit {limit:e}")]
    Inaccurate {
        /// What was measured.
        quantity: &'static str,
        /// The measured value.
        found: f64,
        /// The largest acceptable value.
        limit: f64,
    },
}
