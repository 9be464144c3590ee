//! Looking at a data set before it is trained on: what is wrong, and what is there.

mod report;

pub use report::{Problem, ProblemKind, Report, Severity};
