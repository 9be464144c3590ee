//! Which metrics a protocol has, and what their columns are called.

use super::protocol::Protocol;
use crate::Metric;

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
}
