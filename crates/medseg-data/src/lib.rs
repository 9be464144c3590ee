//! Vessel segmentation data sets, transforms, synthetic data and batches for Burn.

pub mod check;
pub mod coco;
pub mod dataset;
pub mod decode;
mod error;
pub mod loader;
pub mod random;
mod raster;
pub mod split;
pub mod transform;

pub use dataset::{Dataset, OpenOptions, Sample};
pub use error::{DataError, Result};
pub use loader::{Batch, Loader, LoaderConfig};
pub use raster::{Image, Mask};
pub use split::Split;
pub use transform::{Augmentation, Item, Pipeline, Protocol, ResizeGeometry};
