//! Comparisons of fine-tuning methods: which rows, under which budget, with which statistics, in which report.
//!
//! A comparison is fair when every method gets the same images, the same augmentation, the same number of epochs and the same
//! learning rates to choose from, when checkpoints and rates are chosen on validation images and one checkpoint is scored on
//! test images, and when a difference is only claimed where its interval shows it. This crate holds that protocol over the
//! engine ([`medseg_train`]): a [`Profile`](comparison::Profile) says on what and with which budget, [`rows`] which methods,
//! [`Comparison`](comparison::Comparison) runs the cells and [`report`](report::report) says what came of it, beside
//! the figures that the SALT paper [published].
//!
//! The cells of the demonstration, without running them:
//!
//! ```
//! use medseg_study::comparison::{Profile, plan};
//! use medseg_study::{TableChoice, chosen_rows};
//!
//! let profile = Profile::demo();
//! let rows = chosen_rows(TableChoice::Main, &sam_mini::config(), profile.released, &[])?;
//! let cells = plan(&profile, &rows);
//! assert_eq!(cells.len(), profile.datasets.len() * rows.len());
//! assert_eq!(cells[0].to_string(), "Synthetic angiography / frozen / seed 0");
//! # Ok::<(), medseg_study::StudyError>(())
//! ```

pub mod comparison;
mod error;
pub mod ledger;
mod methods;
mod numbers;
pub mod parameters;
pub mod published;
pub mod report;
pub mod results;
mod summary;

pub use error::{Result, StudyError};
pub use methods::{Family, MethodRow, RowPrompt, Scale, TableChoice, TableId, chosen_rows, rows, select};
pub use summary::{PairedDifference, Summary};

/// The example of the readme is a test.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
