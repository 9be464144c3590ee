//! The comparison of methods: plan, run, collect, report.
//!
//! A [`Profile`] says on what and with which budget, [`rows`] says which methods; [`Comparison`] holds both with everything
//! loaded. Every cell (data set, method, seed) tries the same learning rates, chooses one on validation images, and is
//! evaluated once, on test images. A finished cell is never run again: its folder carries the hash of its
//! configuration, data and base model, so cells of many machines can be put into one folder and collected there.

mod cell;
mod findings;
mod methods;
mod plan;
mod profile;
mod progress;
mod run;
mod summary;
mod tables;

pub use cell::{CellInput, cell_model};
pub use findings::findings;
pub use methods::{MethodRow, Scale, TableChoice, rows, select};
pub use plan::{Cell, plan};
pub use profile::{DatasetSource, Profile, Synthetic, SyntheticKind};
pub use progress::LiveView;
pub use run::{Comparison, Runner};
pub use summary::{PairedDifference, Summary};
pub use tables::tables;
