//! Plan, run, collect.
//!
//! A [`Profile`] says on what and with which budget, [`rows`](crate::rows) says which methods; [`Comparison`] holds both with
//! everything loaded. Every cell (data set, method, seed) tries the same learning rates, chooses one on validation images,
//! and is evaluated once, on test images. A finished cell is never run again: its folder carries the hash of its
//! configuration, data and base model, so cells of many machines can be put into one folder and collected there.

mod cell;
mod equal_parameters;
mod give_up;
mod observer;
mod plan;
mod profile;
mod run;

pub use cell::{CellInput, cell_model};
pub use observer::{SilentStudy, StudyObserver};
pub use plan::{Cell, plan};
pub use profile::{DatasetSource, Profile, Synthetic, SyntheticKind};
pub use run::{Comparison, Runner};
