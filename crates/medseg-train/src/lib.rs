//! The engine: losses, training loop, checkpoints, evaluation and reports for fine-tuning SAM.
//!
//! A run is a [`RunConfig`](config::RunConfig): data, base model, method, losses, optimiser, schedule, seed, device. Its
//! [`PreparedData`](data::PreparedData) and [`BaseModel`](model::BaseModel) are loaded once and shared by any number of runs;
//! [`train`](train::train) leaves a selected checkpoint, [`evaluate`](evaluate::evaluate) scores it, and
//! [`reproduce`] does so for every method, data set and seed of a comparison and writes the report.
//!
//! What the engine promises:
//!
//! * **The same seed gives the same bits** on one kind of CPU, whatever the number of threads, and a run that was killed at any
//!   moment and started again ends with the bits of one that was not: every random draw is keyed by (seed, epoch, sample,
//!   transform), schedules are functions of the step, and a checkpoint is a set of files that is whole or absent.
//! * **One checkpoint is reported.** It is selected on validation images, and every metric comes from it, on test images.
//! * **What a user gets wrong is an error with a name**, before hours are spent.
//!
//! Burn's own training crate has a learner, metrics and checkpoints; this engine does not use it. Its Dice is pooled over the
//! data set where papers mean it per image, it saves model, optimiser and scheduler as three files that a kill can leave
//! torn, and it needs to be told from which epoch to resume. Burn's modules, optimisers, gradient accumulation and
//! multi-device gradients are used as they are.

pub mod checkpoint;
pub mod config;
pub mod data;
pub mod device;
mod error;
pub mod evaluate;
pub mod gradients;
pub mod log;
pub mod losses;
pub mod model;
pub mod optimizer;
pub mod pretrain;
pub mod report;
pub mod reproduce;
pub mod results;
pub mod schedule;
pub mod selection;
mod stop;
pub mod train;

pub use error::{Result, TrainError};
pub use stop::StopFlag;
