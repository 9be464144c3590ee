//! Cases, reports and their comparison, each tied to the protocol that made it.

mod aggregate;
mod compare;
mod libraries;
mod lock;
mod report;
mod table;

pub use aggregate::Aggregate;
pub use compare::{CompareOptions, PairedComparison};
pub use libraries::LibraryAnswer;
pub use lock::{Lock, Protocol};
pub use report::Report;

use crate::{Boundary, Centrelines, Mask, Metric, MetricsError, Overlap, Result, Score, Segment, TopologyErrors};
use rayon::prelude::*;

/// Computes every metric of a [`Protocol`] for pairs of masks.
///
/// ```
/// use medseg_metrics::{EmptyPolicy, EmptyValue, Evaluator, Mask, Metric, Protocol, Spacing, Tolerance};
/// let empty = EmptyPolicy::new(EmptyValue::ImageDiagonal, EmptyValue::Perfect);
/// let evaluator = Evaluator::new(Protocol::new(Spacing::pixels(), Tolerance::Pixels(2.0), empty)?);
/// let reference = Mask::from_fn(32, 32, |r, c| r.abs_diff(c) < 3)?;
/// let prediction = Mask::from_fn(32, 32, |r, c| r.abs_diff(c) < 2)?;
/// let case = evaluator.evaluate("image_1", Some("patient_1"), &prediction, &reference)?;
/// assert!(case.value(Metric::Dice).is_some_and(|dice| dice > 0.7));
///
/// let report = evaluator.report(vec![case])?;
/// let mut csv = Vec::new();
/// report.write_csv(&mut csv)?;
/// assert!(String::from_utf8_lossy(&csv).starts_with("id,patient,true_positives,"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct Evaluator {
    protocol: Protocol,
    metrics: Vec<Metric>,
}

/// What one pair of masks scored.
#[derive(Debug, Clone, PartialEq)]
pub struct Case {
    /// Unique name of the case.
    pub id: String,
    /// The patient it belongs to; cases of one patient are not independent, and the statistics respect that.
    pub patient: String,
    /// Pixel counts.
    pub overlap: Overlap,
    /// Every metric of the protocol.
    pub scores: Vec<(Metric, Score)>,
    /// Parts of the reference centre-line outside the prediction, longest first.
    pub missed: Vec<Segment>,
    /// Parts of the predicted centre-line outside the reference, longest first.
    pub spurious: Vec<Segment>,
}

impl Case {
    /// The score of `metric`; `None` when the protocol does not compute it.
    pub fn score(&self, metric: Metric) -> Option<Score> {
        self.scores.iter().find(|(m, _)| *m == metric).map(|(_, score)| *score)
    }

    /// The value of `metric`; `None` when the protocol does not compute it or its policy leaves this case out.
    pub fn value(&self, metric: Metric) -> Option<f64> {
        self.score(metric)?.value()
    }
}

/// A pair of masks with its names, for [`Evaluator::evaluate_all`].
#[derive(Debug, Clone)]
pub struct MaskPair {
    /// Unique name of the case.
    pub id: String,
    /// The patient; `None` makes the case a patient of its own.
    pub patient: Option<String>,
    /// What the method drew.
    pub prediction: Mask,
    /// What is right.
    pub reference: Mask,
}

impl Evaluator {
    /// An evaluator for one protocol.
    pub fn new(protocol: Protocol) -> Self {
        let metrics = Metric::all(&protocol);
        Self { protocol, metrics }
    }

    /// The protocol.
    pub fn protocol(&self) -> &Protocol {
        &self.protocol
    }

    /// The metrics of every case, in the order of output columns.
    pub fn metrics(&self) -> &[Metric] {
        &self.metrics
    }

    /// Measures one pair. Without a patient the case counts as a patient of its own.
    ///
    /// # Errors
    /// When the sizes differ, or a metric is undefined and the protocol's policy refuses.
    pub fn evaluate(&self, id: &str, patient: Option<&str>, prediction: &Mask, reference: &Mask) -> Result<Case> {
        let (spacing, empty) = (self.protocol.spacing(), self.protocol.empty());
        let overlap = Overlap::new(prediction, reference)?;
        let boundary = Boundary::new(prediction, reference, spacing)?;
        let centrelines = Centrelines::new(prediction, reference)?;
        let topology = TopologyErrors::new(prediction, reference)?;
        let missed = centrelines.missed_segments(spacing);
        let spurious = centrelines.spurious_segments(spacing);
        let length = |segments: &[Segment]| Score::Defined(segments.iter().fold(0.0, |sum, s| sum + s.length));
        let number = |segments: &[Segment]| Score::Defined(segments.len() as f64);
        let measure = |metric: Metric| match metric {
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
            Metric::ClDice => centrelines.cldice(empty),
            Metric::TopologyPrecision => centrelines.topology_precision(empty),
            Metric::TopologySensitivity => centrelines.topology_sensitivity(empty),
            Metric::Betti0Error => Ok(Score::Defined(topology.betti0)),
            Metric::Betti1Error => Ok(Score::Defined(topology.betti1)),
            Metric::EulerError => Ok(Score::Defined(topology.euler)),
            Metric::MissedSegments => Ok(number(&missed)),
            Metric::MissedLength => Ok(length(&missed)),
            Metric::SpuriousSegments => Ok(number(&spurious)),
            Metric::SpuriousLength => Ok(length(&spurious)),
        };
        let scores = self.metrics.iter().map(|&metric| Ok((metric, measure(metric)?))).collect::<Result<Vec<_>>>()?;
        let patient = patient.unwrap_or(id).to_owned();
        Ok(Case { id: id.to_owned(), patient, overlap, scores, missed, spurious })
    }

    /// Measures many pairs over all cores; the report keeps their order.
    ///
    /// # Errors
    /// The error of the first pair that has one, or two cases with the same id.
    pub fn evaluate_all(&self, pairs: &[MaskPair]) -> Result<Report> {
        let cases = pairs
            .par_iter()
            .map(|p| self.evaluate(&p.id, p.patient.as_deref(), &p.prediction, &p.reference))
            .collect::<Vec<_>>();
        self.report(cases.into_iter().collect::<Result<_>>()?)
    }

    /// Puts cases of this evaluator under its lock.
    ///
    /// # Errors
    /// When two cases have the same id, or a case was measured by other metrics.
    pub fn report(&self, cases: Vec<Case>) -> Result<Report> {
        for case in &cases {
            let found: Vec<Metric> = case.scores.iter().map(|(m, _)| *m).collect();
            if let Some(odd) = found.iter().find(|m| !self.metrics.contains(m)) {
                return Err(MetricsError::MetricNotComputed(*odd));
            }
            if let Some(absent) = self.metrics.iter().find(|m| !found.contains(m)) {
                return Err(MetricsError::MetricNotComputed(*absent));
            }
        }
        Report::new(Lock::new(self.protocol.clone()), cases)
    }
}
