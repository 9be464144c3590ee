//! Which boundary distance is meant: the libraries disagree, so every result names its choice.

use serde::{Deserialize, Serialize};
use std::fmt;

/// How the two directed sets of surface distances become one number.
///
/// Let `d(P, R)` be the distances from every surface element of the prediction to the nearest surface element of the
/// reference, and `d(R, P)` the reverse. A *surface pixel* is a mask pixel with at least one of its four neighbours outside
/// the mask (or outside the image).
///
/// | | surface | percentile | average (ASSD) | NSD |
/// |---|---|---|---|---|
/// | `MaxDirected` | pixels | larger of the two percentiles | mean over both sets | share of pixels within tolerance |
/// | `Pooled` | pixels | percentile of both sets together | mean over both sets | as above |
/// | `LengthWeighted` | contour elements between pixels | larger of the two, elements weighted by length, no interpolation | mean weighted by length | share of length within tolerance |
/// | `PaperReleased` | pixels; distance to the other mask's *region*, so 0 inside it | larger of the two | mean over both sets | share of pixels |
/// | `PaperReleasedOpenBorder` | as `PaperReleased`, but the image edge does not bound a mask | same | same | same |
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Definition {
    /// Larger of the two directed values (MONAI, Metrics Reloaded). The recommended one: it sees a missed branch.
    #[default]
    MaxDirected,
    /// Percentile over both directions together (medpy, panoptica). A missed branch below 5 % of all surface is invisible.
    Pooled,
    /// Contour elements weighted by their length on the half-pixel lattice (DeepMind's surface-distance).
    LengthWeighted,
    /// Distance to the other mask's region, as in the evaluation code released with the SALT paper: a hole costs nothing.
    PaperReleased,
    /// `PaperReleased` with that code's own erosion, which counts what lies outside the image as inside the mask: where a
    /// mask runs off the image it has no surface, and a mask that fills the image has none at all.
    PaperReleasedOpenBorder,
}

impl Definition {
    /// Every definition, in the order of output columns.
    pub const ALL: [Self; 5] =
        [Self::MaxDirected, Self::Pooled, Self::LengthWeighted, Self::PaperReleased, Self::PaperReleasedOpenBorder];

    /// Name in columns, locks and on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::MaxDirected => "max_directed",
            Self::Pooled => "pooled",
            Self::LengthWeighted => "length_weighted",
            Self::PaperReleased => "paper_released",
            Self::PaperReleasedOpenBorder => "paper_released_open_border",
        }
    }

    /// Which published tools compute this.
    pub fn used_by(self) -> &'static str {
        match self {
            Self::MaxDirected => "MONAI, Metrics Reloaded",
            Self::Pooled => "medpy, panoptica",
            Self::LengthWeighted => "DeepMind surface-distance",
            Self::PaperReleased => "SALT release, mask ends at the image edge",
            Self::PaperReleasedOpenBorder => "SALT release",
        }
    }
}

impl fmt::Display for Definition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
