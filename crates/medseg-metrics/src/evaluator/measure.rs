//! The metrics of one pair, each part computed when the first metric asks for it.

use super::protocol::Protocol;
use crate::{Boundary, Centrelines, Mask, Metric, Overlap, Result, Score, Segment, TopologyErrors};
use std::cell::OnceCell;

/// One pair under one protocol.
pub(super) struct Measurement<'a> {
    protocol: &'a Protocol,
    prediction: &'a Mask,
    reference: &'a Mask,
    overlap: Overlap,
    boundary: Boundary<'a>,
    centrelines: OnceCell<Centrelines<'a>>,
    topology: OnceCell<TopologyErrors>,
    missed: OnceCell<Vec<Segment>>,
    spurious: OnceCell<Vec<Segment>>,
}

impl<'a> Measurement<'a> {
    /// `overlap` holds the counts of the two masks, which no longer hold ignored pixels.
    ///
    /// # Errors
    /// When the sizes differ.
    pub(super) fn new(
        protocol: &'a Protocol,
        overlap: Overlap,
        prediction: &'a Mask,
        reference: &'a Mask,
    ) -> Result<Self> {
        let boundary = Boundary::new(prediction, reference, protocol.spacing())?;
        let (centrelines, topology, missed, spurious) = Default::default();
        Ok(Self { protocol, prediction, reference, overlap, boundary, centrelines, topology, missed, spurious })
    }

    /// One metric.
    ///
    /// # Errors
    /// When it is undefined and the protocol's policy refuses.
    pub(super) fn score(&self, metric: Metric) -> Result<Score> {
        let (overlap, boundary, empty) = (&self.overlap, &self.boundary, self.protocol.empty());
        let length = |segments: &[Segment]| Score::Defined(segments.iter().fold(0.0, |sum, s| sum + s.length));
        let number = |segments: &[Segment]| Score::Defined(segments.len() as f64);
        match metric {
            Metric::Dice => overlap.dice(empty),
            Metric::Iou => overlap.iou(empty),
            Metric::Precision => overlap.precision(empty),
            Metric::Recall => overlap.recall(empty),
            Metric::Specificity => Ok(Score::Defined(overlap.specificity())),
            Metric::Hausdorff(definition) => boundary.hausdorff(definition, empty),
            Metric::HausdorffPercentile(definition) => {
                boundary.hausdorff_percentile(definition, self.protocol.percentile(), empty)
            }
            Metric::AverageSurfaceDistance(definition) => boundary.average_surface_distance(definition, empty),
            Metric::SurfaceDice(definition) => boundary.surface_dice(definition, self.protocol.tolerance(), empty),
            Metric::ClDice => self.centrelines()?.cldice(empty),
            Metric::TopologyPrecision => self.centrelines()?.topology_precision(empty),
            Metric::TopologySensitivity => self.centrelines()?.topology_sensitivity(empty),
            Metric::Betti0Error => Ok(Score::Defined(self.topology()?.betti0)),
            Metric::Betti1Error => Ok(Score::Defined(self.topology()?.betti1)),
            Metric::EulerError => Ok(Score::Defined(self.topology()?.euler)),
            Metric::MissedSegments => Ok(number(self.missed()?)),
            Metric::MissedLength => Ok(length(self.missed()?)),
            Metric::SpuriousSegments => Ok(number(self.spurious()?)),
            Metric::SpuriousLength => Ok(length(self.spurious()?)),
        }
    }

    /// The missed and the spurious segments.
    ///
    /// # Errors
    /// None: the sizes were compared before.
    pub(super) fn into_segments(self) -> Result<(Vec<Segment>, Vec<Segment>)> {
        self.missed()?;
        self.spurious()?;
        Ok((self.missed.into_inner().unwrap_or_default(), self.spurious.into_inner().unwrap_or_default()))
    }

    fn centrelines(&self) -> Result<&Centrelines<'a>> {
        kept(&self.centrelines, || Centrelines::new(self.prediction, self.reference))
    }

    fn topology(&self) -> Result<&TopologyErrors> {
        kept(&self.topology, || TopologyErrors::new(self.prediction, self.reference))
    }

    fn missed(&self) -> Result<&[Segment]> {
        kept(&self.missed, || Ok(self.centrelines()?.missed_segments(self.protocol.spacing()))).map(Vec::as_slice)
    }

    fn spurious(&self) -> Result<&[Segment]> {
        kept(&self.spurious, || Ok(self.centrelines()?.spurious_segments(self.protocol.spacing()))).map(Vec::as_slice)
    }
}

/// The value of `cell`, made first if there is none.
fn kept<T>(cell: &OnceCell<T>, make: impl FnOnce() -> Result<T>) -> Result<&T> {
    match cell.get() {
        Some(value) => Ok(value),
        None => make().map(|value| cell.get_or_init(|| value)),
    }
}
