//! Overlap: the confusion counts of two masks and the ratios made of them.

use crate::policy::Range;
use crate::{Emptiness, EmptyPolicy, Mask, Result, Score};
use serde::{Deserialize, Serialize};

/// Pixel counts of a prediction against a reference; every overlap metric is a ratio of these.
///
/// ```
/// use medseg_metrics::{EmptyPolicy, EmptyValue, Mask, Overlap};
/// let prediction = Mask::from_bytes(1, 4, &[1, 1, 0, 0])?;
/// let reference = Mask::from_bytes(1, 4, &[0, 1, 1, 0])?;
/// let overlap = Overlap::new(&prediction, &reference)?;
/// assert_eq!(overlap.dice(EmptyPolicy::uniform(EmptyValue::Nan))?.value(), Some(0.5));
/// # Ok::<(), medseg_metrics::MetricsError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Overlap {
    /// Pixels in both masks.
    pub true_positives: u64,
    /// Pixels in the prediction only.
    pub false_positives: u64,
    /// Pixels in the reference only.
    pub false_negatives: u64,
    /// Pixels in neither.
    pub true_negatives: u64,
}

impl Overlap {
    /// Counts, in one pass over the words of both masks.
    ///
    /// # Errors
    /// When the sizes differ.
    pub fn new(prediction: &Mask, reference: &Mask) -> Result<Self> {
        prediction.same_shape(reference)?;
        let words = prediction.words().iter().zip(reference.words()).map(|(&p, &r)| (p, r));
        Ok(Self::count(words, prediction.area()))
    }

    /// Counts without the pixels of `ignored`, which are then in none of the four.
    ///
    /// # Errors
    /// When the sizes differ.
    pub fn ignoring(prediction: &Mask, reference: &Mask, ignored: &Mask) -> Result<Self> {
        prediction.same_shape(reference)?;
        ignored.must_cover(reference)?;
        let words = prediction.words().iter().zip(reference.words()).zip(ignored.words());
        Ok(Self::count(words.map(|((&p, &r), &i)| (p & !i, r & !i)), prediction.area() - ignored.count()))
    }

    /// Counts over pairs of words that hold `all` pixels.
    fn count(words: impl Iterator<Item = (u64, u64)>, all: u64) -> Self {
        let (mut both, mut predicted, mut wanted) = (0u64, 0u64, 0u64);
        for (p, r) in words {
            both += u64::from((p & r).count_ones());
            predicted += u64::from(p.count_ones());
            wanted += u64::from(r.count_ones());
        }
        Self {
            true_positives: both,
            false_positives: predicted - both,
            false_negatives: wanted - both,
            true_negatives: all + both - predicted - wanted,
        }
    }

    /// Dice coefficient 2|P∩R| / (|P| + |R|), without smoothing; undefined when both masks are empty.
    ///
    /// # Errors
    /// When undefined and the policy refuses.
    pub fn dice(&self, policy: EmptyPolicy) -> Result<Score> {
        let both = 2 * self.true_positives;
        self.ratio("Dice", both, both + self.false_positives + self.false_negatives, policy)
    }

    /// Intersection over union |P∩R| / |P∪R| (Jaccard); undefined when both masks are empty.
    ///
    /// # Errors
    /// When undefined and the policy refuses.
    pub fn iou(&self, policy: EmptyPolicy) -> Result<Score> {
        let union = self.true_positives + self.false_positives + self.false_negatives;
        self.ratio("IoU", self.true_positives, union, policy)
    }

    /// |P∩R| / |P|; undefined when the prediction is empty.
    ///
    /// # Errors
    /// When undefined and the policy refuses.
    pub fn precision(&self, policy: EmptyPolicy) -> Result<Score> {
        self.ratio("precision", self.true_positives, self.true_positives + self.false_positives, policy)
    }

    /// |P∩R| / |R| (sensitivity); undefined when the reference is empty.
    ///
    /// # Errors
    /// When undefined and the policy refuses.
    pub fn recall(&self, policy: EmptyPolicy) -> Result<Score> {
        self.ratio("recall", self.true_positives, self.true_positives + self.false_negatives, policy)
    }

    /// Share of the background that is predicted as background. When the reference fills the image there is none, and
    /// no false positive is possible: the value is then 1.
    pub fn specificity(&self) -> f64 {
        let background = self.true_negatives + self.false_positives;
        if background == 0 { 1.0 } else { self.true_negatives as f64 / background as f64 }
    }

    /// Which masks are empty, if any.
    pub fn emptiness(&self) -> Option<Emptiness> {
        let hits = self.true_positives;
        Emptiness::of(hits + self.false_positives == 0, hits + self.false_negatives == 0)
    }

    fn ratio(&self, metric: &'static str, part: u64, whole: u64, policy: EmptyPolicy) -> Result<Score> {
        match self.emptiness() {
            Some(cause) if whole == 0 => policy.resolve(metric, cause, Range::SCORE),
            _ => Ok(Score::Defined(part as f64 / whole as f64)),
        }
    }
}
