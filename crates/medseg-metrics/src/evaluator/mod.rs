//! Cases, reports and their comparison, each tied to the protocol that made it.

mod aggregate;
mod case;
mod columns;
mod compare;
mod csv_file;
mod json_file;
mod libraries;
mod lock;
mod measure;
mod number;
mod protocol;
mod report;
mod table;

pub use aggregate::Aggregate;
pub use case::{Case, MaskPair};
pub use compare::{CompareOptions, PairedComparison};
pub use libraries::LibraryAnswer;
pub use lock::Lock;
pub use protocol::Protocol;
pub use report::Report;

use crate::{Mask, Metric, MetricsError, Overlap, Result, Score};
use measure::Measurement;
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

    /// Measures two masks in which every pixel counts. Without a patient the case counts as a patient of its own.
    ///
    /// # Errors
    /// When the sizes differ, or a metric is undefined and the protocol's policy refuses.
    pub fn evaluate(&self, id: &str, patient: Option<&str>, prediction: &Mask, reference: &Mask) -> Result<Case> {
        let overlap = Overlap::new(prediction, reference)?;
        self.case(id, patient, overlap, prediction, reference)
    }

    /// Measures one pair, without the pixels that it ignores.
    ///
    /// # Errors
    /// As [`Evaluator::evaluate`]; and when the pair ignores pixels under a protocol
    /// [without ignored pixels](Protocol::with_ignored_pixels).
    pub fn evaluate_pair(&self, pair: &MaskPair) -> Result<Case> {
        let ignored = self.ignored(pair)?;
        let (prediction, reference) = pair.counted()?;
        let case = self.case(&pair.id, pair.patient.as_deref(), pair.overlap()?, &prediction, &reference)?;
        Ok(Case { ignored, ..case })
    }

    /// One metric of one pair, and nothing else: a validation that only needs Dice computes no distance.
    ///
    /// # Errors
    /// As [`Evaluator::evaluate_pair`]; and when the protocol does not have this metric.
    pub fn score(&self, metric: Metric, pair: &MaskPair) -> Result<Score> {
        if !self.metrics.contains(&metric) {
            return Err(MetricsError::MetricNotComputed(metric));
        }
        self.ignored(pair)?;
        let (prediction, reference) = pair.counted()?;
        Measurement::new(&self.protocol, pair.overlap()?, &prediction, &reference)?.score(metric)
    }

    fn case(
        &self,
        id: &str,
        patient: Option<&str>,
        overlap: Overlap,
        prediction: &Mask,
        reference: &Mask,
    ) -> Result<Case> {
        let measurement = Measurement::new(&self.protocol, overlap, prediction, reference)?;
        let score = |&metric: &Metric| Ok((metric, measurement.score(metric)?));
        let scores = self.metrics.iter().map(score).collect::<Result<Vec<_>>>()?;
        let (missed, spurious) = measurement.into_segments()?;
        let patient = patient.unwrap_or(id).to_owned();
        Ok(Case { id: id.to_owned(), patient, overlap, ignored: 0, scores, missed, spurious })
    }

    /// Number of pixels that the pair ignores, which the protocol must allow.
    fn ignored(&self, pair: &MaskPair) -> Result<u64> {
        let pixels = pair.ignored.as_ref().map_or(0, Mask::count);
        if pixels > 0 && !self.protocol.ignored_pixels() {
            return Err(MetricsError::IgnoredPixels { case: pair.id.clone(), pixels });
        }
        Ok(pixels)
    }

    /// Measures many pairs over all cores; the report keeps their order.
    ///
    /// # Errors
    /// The error of the first pair that has one, or two cases with the same id.
    pub fn evaluate_all(&self, pairs: &[MaskPair]) -> Result<Report> {
        let cases = pairs.par_iter().map(|pair| self.evaluate_pair(pair)).collect::<Vec<_>>();
        self.report(cases.into_iter().collect::<Result<_>>()?)
    }

    /// Puts cases of this evaluator under its lock.
    ///
    /// # Errors
    /// When two cases have the same id, or a case was measured by other metrics or ignores pixels that the protocol counts.
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
