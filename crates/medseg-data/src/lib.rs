//! Vessel segmentation data sets in, exact tensors out.
//!
//! A segmentation result is only as good as the pixels under it. This crate opens vessel data sets in the layouts in which
//! their publishers ship them (ARCADE, ROSE, DRIVE, DIAS, XRay-Angio, CHASE_DB1, OCTA-500, ROSSA) and folders of images and
//! masks as users have them, decodes them under explicit limits, and turns them into batches of plain arrays by one of four
//! named protocols: [`Protocol::Default`] does what Segment Anything was trained with, [`Protocol::Sam2`] and [`Protocol::MedSam`] do what
//! those models were, [`Protocol::Paper`] repeats the released code of the SALT paper to the pixel. Nothing is guessed in silence: a missing mask, a mask with three classes, a file that
//! promises a gigapixel is an error that names the file.
//!
//! | module | what it is for |
//! |---|---|
//! | [`dataset`] | recognise a layout, pair images with masks |
//! | [`decode`] | image files to pixels, under limits |
//! | [`coco`] | polygons to masks, with the pixel rule of the COCO API |
//! | [`transform`] | resize, normalise, augment; the way back to the original pixels |
//! | [`split`] | official splits, the paper's sizes, folds by patient |
//! | [`check`] | verify a data set, describe it |
//! | [`preview`] | contact sheets |
//! | [`synth`] | our own seeded data, in the publishers' layouts |
//! | [`random`] | random numbers that depend on names, not on order |
//! | [`manifest`] | where data sets are published, licences, checksums |
//!
//! The feature `burn` adds Burn's `Dataset` and `Batcher` over these sets (`examples/burn_training.rs`).
//!
//! Random draws are keyed by (seed, epoch, sample id, transform), so a run is the same whatever the number of threads, and
//! resumes without any saved state of a generator.
//!
//! ```
//! use medseg_data::{Batch, Dataset, Pipeline, Protocol, Split, synth};
//!
//! // Two training images and a test image of our own data, in the layout of ROSE-1.
//! let folder = tempfile::tempdir()?;
//! synth::write_rose(folder.path(), 64, synth::Counts { train: 2, val: 0, test: 1 }, 7)?;
//!
//! let data = Dataset::open(folder.path())?;
//! assert_eq!(data.description, "ROSE-1, plexus SVC, ground truth gt");
//!
//! let pipeline = Pipeline::training(Protocol::Default, 128)?;
//! let (seed, epoch) = (42, 0);
//! let items = data.split(Split::Train).map(|sample| pipeline.apply(sample, seed, epoch));
//! let batch = Batch::stack(&items.collect::<Result<Vec<_>, _>>()?)?;
//! assert_eq!(batch.images.len(), 2 * 3 * 128 * 128);
//! assert_eq!(batch.masks.len(), 2 * 128 * 128);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod batch;
#[cfg(feature = "burn")]
pub mod burn;
pub mod check;
pub mod coco;
pub mod dataset;
pub mod decode;
mod error;
pub mod manifest;
mod names;
pub mod preview;
mod raster;
pub mod split;
pub mod synth;
pub mod transform;

pub use batch::Batch;
pub use dataset::{Dataset, OpenOptions, Sample};
pub use error::{DataError, Result};
pub use keyed_random as random;
pub use medseg_metrics::Mask;
pub use raster::Image;
pub use split::Split;
pub use transform::{Augmentation, Item, Pipeline, Protocol, ResizeGeometry};

/// The example of the readme is a test.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
