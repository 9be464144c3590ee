//! Looking at a data set before it is trained on: [`verify`] finds what is wrong, [`fingerprint`] describes what is there.

mod duplicates;
mod fingerprint;
mod report;
mod verify;

pub use duplicates::{DuplicatePair, ImagePrint, NEAR_DUPLICATE, duplicates};
pub use fingerprint::{Distribution, Fingerprint, fingerprint};
pub use report::{Problem, ProblemKind, Report, Severity};
pub use verify::{VerifyOptions, verify};
