//! The engine: losses, training loop, checkpoints, bundles and evaluation for fine-tuning SAM, and for training the classic networks
//! that one compares with.
//!
//! A run is a [`RunConfig`](config::RunConfig): data, base model, method, losses, optimiser, schedule, seed, device. Its
//! [`PreparedData`](data::PreparedData) and [`BaseModel`](model::BaseModel) are loaded once and shared by any number of runs;
//! [`train`](train::train) leaves a selected checkpoint, [`write_bundle`](train::write_bundle) makes of it a [bundle] that
//! remembers how images are prepared, a [`Session`](session::Session) opens that (or a plain checkpoint) on any device, and
//! [`evaluate`](evaluate::evaluate) scores it. Nothing here speaks to a terminal: progress goes to an
//! [`Observer`](train::Observer).
//!
//! What the engine promises:
//!
//! * **The same seed gives the same bits** on one kind of CPU, whatever the number of threads, and a run that was killed at any
//!   moment and started again ends with the bits of one that was not: every random draw is keyed by (seed, epoch, sample,
//!   transform), schedules are functions of the step, and a checkpoint is a set of files that is whole or absent.
//! * **One checkpoint is reported.** It is selected on validation images, and every metric comes from it, on test images.
//! * **What a user gets wrong is an error with a name**, before hours are spent.
//!
//! Ten pictures, a model of random weights, one epoch of SALT, and what came of it:
//!
//! ```
//! use medseg_data::{dataset::ArcadeTask, synth::{Counts, write_arcade}};
//! use medseg_train::{StopFlag, config::RunConfig, data, device, evaluate, model::BaseModel, train};
//!
//! let place = tempfile::tempdir()?;
//! let images = place.path().join("images");
//! write_arcade(&images, ArcadeTask::Syntax, 64, Counts { train: 6, val: 2, test: 2 }, 0)?;
//! let text = format!(
//!     r#"
//!     [data]
//!     path = {images:?}
//!     image-size = 64
//!     allow-empty-masks = true
//!     [model]
//!     base = "random"
//!     [adapter]
//!     method = "salt"
//!     include = ["qkv.weight"]
//!     svd-rank = 48
//!     lora-rank = 4
//!     train = ["norm", "prompt"]
//!     [training]
//!     epochs = 1
//!     "#
//! );
//! let config = RunConfig::parse(&text, "run.toml".as_ref())?;
//! let data = data::prepare(&config.data, "ten pictures")?;
//! let device = device::open("cpu")?;
//! let base = BaseModel::load(&config.model, config.data.image_size, &device)?;
//! let (run, stop) = (place.path().join("run"), StopFlag::new());
//! let outcome = train::train(&config, &data, &base, &run, &stop, &train::Silent)?;
//! assert_eq!((outcome.steps, outcome.curve.len()), (3, 1));
//! let best = evaluate::merged(&train::load_best(&config, &base, &run, &device)?);
//! let scores = evaluate::evaluate(&best, &data, &data.test, &config.evaluation, &device, &stop)?;
//! assert_eq!(scores.report.cases().len(), 2);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Burn's own training crate has a learner, metrics and checkpoints; this engine does not use it. Its Dice is pooled over the
//! data set where papers mean it per image, it saves model, optimiser and scheduler as three files that a kill can leave
//! torn, and it needs to be told from which epoch to resume. Burn's modules, optimisers, gradient accumulation and
//! multi-device gradients are used as they are.

pub mod bundle;
pub mod checkpoint;
pub mod config;
pub mod data;
pub mod device;
mod embeddings;
mod error;
pub mod evaluate;
pub mod files;
pub mod gradients;
pub mod log;
mod loss_scale;
pub mod losses;
pub mod memory;
pub mod model;
pub mod network;
pub mod optimizer;
pub mod overlay;
pub mod prompted;
mod room;
pub mod schedule;
mod segmenter;
pub mod selection;
pub mod session;
pub mod shipped;
mod stop;
pub mod text;
mod tiles;
pub mod train;

pub use error::{Result, TrainError};
pub use room::check_room;
pub use stop::StopFlag;

/// The example of the readme is a test.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
