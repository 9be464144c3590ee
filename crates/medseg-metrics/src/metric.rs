//! Names of everything that a case is measured by.

use crate::Definition;
use crate::evaluator::Protocol;

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
    /// Every metric under `protocol`, in the order of output columns.
    pub fn all(protocol: &Protocol) -> Vec<Self> {
        let mut all = vec![Self::Dice, Self::Iou, Self::Precision, Self::Recall, Self::Specificity];
        let kinds =
            [Self::Hausdorff, Self::HausdorffPercentile, Self::AverageSurfaceDistance, Self::SurfaceDice as fn(_) -> _];
        for kind in kinds {
            all.extend(protocol.definitions().iter().map(|&definition| kind(definition)));
        }
        all.extend([
            Self::ClDice,
            Self::TopologyPrecision,
            Self::TopologySensitivity,
            Self::Betti0Error,
            Self::Betti1Error,
            Self::EulerError,
            Self::MissedSegments,
            Self::MissedLength,
            Self::SpuriousSegments,
            Self::SpuriousLength,
        ]);
        all
    }

    /// Column name: metric, parameter, definition and unit, for example `hd95_max_directed_px`.
    pub fn column(self, protocol: &Protocol) -> String {
        let unit = protocol.spacing().unit();
        match self {
            Self::Dice => "dice".to_owned(),
            Self::Iou => "iou".to_owned(),
            Self::Precision => "precision".to_owned(),
            Self::Recall => "recall".to_owned(),
            Self::Specificity => "specificity".to_owned(),
            Self::Hausdorff(definition) => format!("hd_{definition}_{unit}"),
            Self::HausdorffPercentile(definition) => format!("hd{}_{definition}_{unit}", protocol.percentile()),
            Self::AverageSurfaceDistance(definition) => format!("assd_{definition}_{unit}"),
            Self::SurfaceDice(definition) => format!("nsd_{}_{definition}", protocol.tolerance()),
            Self::ClDice => "cldice".to_owned(),
            Self::TopologyPrecision => "topology_precision".to_owned(),
            Self::TopologySensitivity => "topology_sensitivity".to_owned(),
            Self::Betti0Error => "betti0_error".to_owned(),
            Self::Betti1Error => "betti1_error".to_owned(),
            Self::EulerError => "euler_error".to_owned(),
            Self::MissedSegments => "missed_segments".to_owned(),
            Self::MissedLength => format!("missed_length_{unit}"),
            Self::SpuriousSegments => "spurious_segments".to_owned(),
            Self::SpuriousLength => format!("spurious_length_{unit}"),
        }
    }

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
