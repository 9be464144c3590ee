//! Segmentation metrics that state their definition.
//!
//! "HD95" is a different number in each library: they disagree on what a surface is, on whether the two
//! directions are pooled or the larger one is taken, on weighting by length, and on interpolation. Empty masks are worse: the
//! same pair is an exception, NaN, infinity or 0 depending on the library, and that alone can reverse a ranking. This crate
//! makes each of these choices explicit, computes all definitions from the same distances, and writes the choice into every
//! column name and results file.
//!
//! It measures 2-D binary masks with anisotropic pixel spacing:
//!
//! * [`Overlap`]: Dice, IoU, precision, recall, specificity, with their counts;
//! * [`Boundary`]: Hausdorff distance and any of its percentiles, average symmetric surface distance, normalised surface Dice,
//!   under each [`Definition`];
//! * [`Centrelines`]: clDice, and every missed or invented vessel segment as a polyline with length and width, worst first;
//! * [`Betti`] and [`TopologyErrors`]: components, holes and the Euler characteristic;
//! * [`Evaluator`]: per-case rows under a [`Lock`], summaries with bootstrap intervals clustered by patient, and paired
//!   comparison of two methods; results made under different protocols refuse to be compared. References may mark
//!   [pixels to be ignored](Protocol::with_ignored_pixels).
//!
//! The parts it is made of are public: [`distance_transform`], [`skeletonize`], [`connected_components`], [`vessel_widths`],
//! [`statistics`], and [`folders`], which pairs the files of two folders.
//!
//! `docs/metrics.md` in the repository has the formula of each metric, the tool that it equals, its unit, and what happens with
//! empty masks. The feature `burn` adds the module `training`: every metric here as one of burn-train's.
//!
//! What a metric is worth when a mask is empty is a decision of the study. Every function that can meet the question takes an
//! [`EmptyPolicy`], which has no default.
//!
//! ```
//! use medseg_metrics::{Boundary, Definition, EmptyPolicy, EmptyValue, Mask, Spacing};
//!
//! // A vessel with a side branch, and a prediction that misses the branch.
//! let vessel = |r: usize, c: usize| (60..66).contains(&r) && (5..120).contains(&c);
//! let branch = |r: usize, c: usize| (66..80).contains(&r) && (40..46).contains(&c);
//! let reference = Mask::from_fn(128, 128, |r, c| vessel(r, c) || branch(r, c))?;
//! let prediction = Mask::from_fn(128, 128, vessel)?;
//!
//! let boundary = Boundary::new(&prediction, &reference, Spacing::pixels())?;
//! let policy = EmptyPolicy::new(EmptyValue::ImageDiagonal, EmptyValue::Perfect);
//! let hd95 = |definition| boundary.hausdorff_percentile(definition, 95.0, policy).map(|s| s.value());
//!
//! // Pooling both directions hides most of the branch; taking the larger direction does not.
//! assert!(hd95(Definition::MaxDirected)? > hd95(Definition::Pooled)?);
//! # Ok::<(), medseg_metrics::MetricsError>(())
//! ```
//!
//! # Speed
//!
//! Masks hold 64 pixels a word; surfaces, skeletons and topology are computed on words, and distances only where a surface
//! pixel asks for them. `benches/peers/peers.py` times the Python packages on the same masks in the same run and checks that
//! the values agree. On 512 x 512 vessel masks and one busy core, HD, HD95, ASSD and NSD under all five definitions took
//! 1/12 to 1/14 of the time of the fastest package's HD95 alone (1/6 for two unrelated trees, where every distance is long),
//! and clDice 1/31 to 1/37 of scikit-image's.
//!
//! # Conventions
//!
//! Masks are row-major; spacing is (row, column) and every distance is in its unit, between pixel centres. What lies outside
//! the image is background. Surfaces are 4-connected, components 8-connected, holes 4-connected.

mod boundary;
mod centreline;
mod components;
mod definition;
mod distance;
mod emptiness;
mod error;
mod evaluator;
pub mod folders;
mod mask;
mod metric;
mod overlap;
mod parse;
mod policy;
mod skeleton;
mod spacing;
pub mod statistics;
mod topology;
#[cfg(feature = "burn")]
pub mod training;
mod words;

pub use boundary::Boundary;
pub use centreline::{Centrelines, Segment, vessel_widths};
pub use components::{Component, Components, Connectivity, connected_components, count_components};
pub use definition::Definition;
pub use distance::{DistanceMap, distance_to, distance_transform};
pub use emptiness::{Emptiness, Score};
pub use error::{MetricsError, Result};
pub use evaluator::{
    Aggregate, Case, CompareOptions, Evaluator, LibraryAnswer, Lock, MaskPair, PairedComparison, Protocol, Report,
};
pub use mask::Mask;
pub use metric::Metric;
pub use overlap::Overlap;
pub use policy::{EmptyPolicy, EmptyValue};
pub use skeleton::skeletonize;
pub use spacing::{Spacing, Tolerance, Unit};
pub use statistics::BootstrapOptions;
pub use topology::{Betti, TopologyErrors};

/// The example of the readme is a test.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
