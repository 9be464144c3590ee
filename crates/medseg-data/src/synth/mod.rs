//! Our own data: seeded synthetic angiograms with exact masks.
//!
//! Two generators make images that look like the two modalities of the paper, so that everything runs without a download:
//! [`angiogram`] (a frame of coronary X-ray angiography) and [`octa`] (an en-face scan of OCT angiography around the fovea).
//! [`write_arcade`] and [`write_rose`] write them in the publishers' layouts, so that the loaders of the real data read them.
//! Same seed, same bytes, on every platform and whatever the number of threads. They are for tests, first steps and
//! pre-training; a score on them says nothing about patients.
//!
//! ```
//! let first = medseg_data::synth::angiogram(128, 7, 0);
//! assert_eq!(first.image.size(), (128, 128));
//! assert!(!first.mask.is_empty());
//! assert_eq!(first.image, medseg_data::synth::angiogram(128, 7, 0).image);
//! ```

mod angiogram;
mod colonise;
mod heart;
mod octa;
mod outline;
mod plane;
mod write;

pub use outline::outlines;
pub use write::{Counts, write_arcade, write_rose};

use crate::raster::Image;
use medseg_metrics::Mask;

/// A synthetic image with its truth.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Synthetic {
    /// Grey image.
    pub image: Image,
    /// The lumen of every vessel: a pixel is foreground when its centre lies in a vessel.
    pub mask: Mask,
    /// The vessels one by one; the mask is their union.
    pub pieces: Vec<Piece>,
}

/// One vessel of a synthetic image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Piece {
    /// Angiogram: the segment's category in ARCADE's numbering (1 to 25), by the vessel it belongs to. OCT angiography: 1.
    pub category: u32,
    /// Its lumen.
    pub mask: Mask,
    /// The part of it that is narrowed, if there is one.
    pub stenosis: Option<Mask>,
}

/// Smallest and largest side of a synthetic image in pixels.
pub const SIDES: std::ops::RangeInclusive<usize> = 64..=2048;

/// A frame of a coronary angiogram, `size` x `size` pixels (kept within [`SIDES`]); `number` counts the images of one seed.
///
/// A left or right coronary tree in three dimensions (radii by Murray's law, one or two stenoses, smooth wandering) is seen from
/// one of the usual projections, which foreshortens its vessels; with catheter, uneven contrast medium, heart, lung, spine,
/// ribs, diaphragm, collimator and quantum noise.
pub fn angiogram(size: usize, seed: u64, number: u64) -> Synthetic {
    angiogram::render(size.clamp(*SIDES.start(), *SIDES.end()), seed, number)
}

/// An en-face OCT angiogram of 3 mm x 3 mm around the fovea, `size` x `size` pixels (kept within [`SIDES`]); `number` counts
/// the images of one seed.
///
/// Arterioles and venules (space colonisation, radii by Murray's law) around a foveal avascular zone, over a capillary bed; with
/// projected ghosts, rows shifted by saccades, streaks and speckle. The mask holds the vessels, not the capillary bed.
pub fn octa(size: usize, seed: u64, number: u64) -> Synthetic {
    octa::render(size.clamp(*SIDES.start(), *SIDES.end()), seed, number)
}
