//! The metrics of a case, by name.

use crate::Definition;

/// One metric of a case.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Metric {
    /// [`Overlap::dice`](crate::Overlap::dice).
    Dice,
    /// [`Overlap::iou`](crate::Overlap::iou).
    Iou,
    /// [`Overlap::precision`](crate::Overlap::precision).
    Precision,
    /// [`Overlap::recall`](crate::Overlap::recall).
    Recall,
    /// [`Overlap::specificity`](crate::Overlap::specificity).
    Specificity,
    /// [`Boundary::hausdorff`](crate::Boundary::hausdorff).
    Hausdorff(Definition),
    /// [`Boundary::hausdorff_percentile`](crate::Boundary::hausdorff_percentile) at the protocol's percentile.
    HausdorffPercentile(Definition),
    /// [`Boundary::average_surface_distance`](crate::Boundary::average_surface_distance).
    AverageSurfaceDistance(Definition),
    /// [`Boundary::surface_dice`](crate::Boundary::surface_dice) at the protocol's tolerance.
    SurfaceDice(Definition),
    /// [`Centrelines::cldice`](crate::Centrelines::cldice).
    ClDice,
    /// [`Centrelines::topology_precision`](crate::Centrelines::topology_precision).
    TopologyPrecision,
    /// [`Centrelines::topology_sensitivity`](crate::Centrelines::topology_sensitivity).
    TopologySensitivity,
    /// [`TopologyErrors::betti0`](crate::TopologyErrors::betti0).
    Betti0Error,
    /// [`TopologyErrors::betti1`](crate::TopologyErrors::betti1).
    Betti1Error,
    /// [`TopologyErrors::euler`](crate::TopologyErrors::euler).
    EulerError,
    /// Number of [`Centrelines::missed_segments`](crate::Centrelines::missed_segments).
    MissedSegments,
    /// Their total length.
    MissedLength,
    /// Number of [`Centrelines::spurious_segments`](crate::Centrelines::spurious_segments).
    SpuriousSegments,
    /// Their total length.
    SpuriousLength,
}

impl Metric {
    /// Whether a larger value is a better one.
    pub fn higher_is_better(self) -> bool {
        matches!(
            self,
            Self::Dice
                | Self::Iou
                | Self::Precision
                | Self::Recall
                | Self::Specificity
                | Self::SurfaceDice(_)
                | Self::ClDice
                | Self::TopologyPrecision
                | Self::TopologySensitivity
        )
    }
}
