//! What goes into an evaluation and what comes out: a pair of masks, and its scores.

use super::protocol::Protocol;
use crate::{Emptiness, Mask, Metric, Overlap, Result, Score, Segment};
use std::borrow::Cow;
use std::collections::BTreeMap;

/// A prediction and a reference with their names.
///
/// ```
/// use medseg_metrics::{Mask, MaskPair};
/// let drawn = Mask::from_bytes(1, 4, &[1, 1, 0, 1])?;
/// let right = Mask::from_bytes(1, 4, &[0, 1, 0, 0])?;
/// // The last column was not annotated.
/// let unknown = Mask::from_bytes(1, 4, &[0, 0, 0, 1])?;
/// let pair = MaskPair::new("image_1", drawn, right).with_patient("patient_1").with_ignored(unknown);
/// assert_eq!(pair.overlap()?.false_positives, 1);
/// # Ok::<(), medseg_metrics::MetricsError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct MaskPair {
    /// Unique name of the case.
    pub id: String,
    /// The patient; `None` makes the case a patient of its own.
    pub patient: Option<String>,
    /// What the method drew.
    pub prediction: Mask,
    /// What is right.
    pub reference: Mask,
    /// Pixels that the reference says nothing about. They are background in both masks and leave every count.
    pub ignored: Option<Mask>,
}

impl MaskPair {
    /// A pair in which every pixel counts, and which is a patient of its own.
    pub fn new(id: impl Into<String>, prediction: Mask, reference: Mask) -> Self {
        Self { id: id.into(), patient: None, prediction, reference, ignored: None }
    }

    /// The pair as one of this patient.
    #[must_use]
    pub fn with_patient(mut self, patient: impl Into<String>) -> Self {
        self.patient = Some(patient.into());
        self
    }

    /// The pair with pixels to be ignored, or with none.
    #[must_use]
    pub fn with_ignored(mut self, ignored: impl Into<Option<Mask>>) -> Self {
        self.ignored = ignored.into();
        self
    }

    /// Prediction and reference as every metric sees them: without the ignored pixels.
    ///
    /// # Errors
    /// When the sizes differ.
    pub fn counted(&self) -> Result<(Cow<'_, Mask>, Cow<'_, Mask>)> {
        self.prediction.same_shape(&self.reference)?;
        Ok(match &self.ignored {
            None => (Cow::Borrowed(&self.prediction), Cow::Borrowed(&self.reference)),
            Some(ignored) => {
                ignored.must_cover(&self.reference)?;
                let without = |mask: &Mask| mask.difference(ignored).map(Cow::Owned);
                (without(&self.prediction)?, without(&self.reference)?)
            }
        })
    }

    /// Pixel counts, ignored pixels left out.
    ///
    /// # Errors
    /// When the sizes differ.
    pub fn overlap(&self) -> Result<Overlap> {
        match &self.ignored {
            None => Overlap::new(&self.prediction, &self.reference),
            Some(ignored) => Overlap::ignoring(&self.prediction, &self.reference, ignored),
        }
    }
}

/// What one pair of masks scored.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Case {
    /// Unique name of the case.
    pub id: String,
    /// The patient it belongs to; cases of one patient are not independent, and the statistics respect that.
    pub patient: String,
    /// Pixel counts.
    pub overlap: Overlap,
    /// Number of pixels that were ignored.
    pub ignored: u64,
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

    /// Columns of the metrics that are undefined, with the reason.
    pub(super) fn undefined(&self, protocol: &Protocol) -> BTreeMap<String, Emptiness> {
        self.scores.iter().filter_map(|(metric, score)| Some((metric.column(protocol), score.cause()?))).collect()
    }
}
