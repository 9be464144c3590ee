//! Centre-lines: clDice, and the vessel segments that were missed or invented.

mod trace;

use crate::distance::{Window, for_each_distance};
use crate::policy::Range;
use crate::{Emptiness, EmptyPolicy, Mask, Result, Score, Spacing, skeletonize};
use serde::{Deserialize, Serialize};
use trace::{Numbering, polylines};

/// A stretch of centre-line between two ends or branching points, as a polyline through pixel centres.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Segment {
    /// Pixels (row, column) from one end to the other; a closed loop repeats its first pixel.
    pub points: Vec<(usize, usize)>,
    /// Length along the pixel centres, in the unit of the spacing; 0 for a single pixel.
    pub length: f64,
    /// Mean width of the vessel along the segment, in the unit of the spacing (see [`vessel_widths`]).
    pub mean_width: f64,
}

/// The centre-lines of a prediction and a reference.
///
/// ```
/// use medseg_metrics::{Centrelines, EmptyPolicy, EmptyValue, Mask, Spacing};
/// let reference = Mask::from_fn(40, 60, |r, c| (10..13).contains(&r) && (5..55).contains(&c))?;
/// let prediction = Mask::from_fn(40, 60, |r, c| (10..13).contains(&r) && (5..30).contains(&c))?;
/// let centrelines = Centrelines::new(&prediction, &reference)?;
/// let policy = EmptyPolicy::new(EmptyValue::ImageDiagonal, EmptyValue::Perfect);
/// assert_eq!(centrelines.topology_precision(policy)?.value(), Some(1.0));
/// let missed = centrelines.missed_segments(Spacing::pixels());
/// assert_eq!(missed.len(), 1);
/// assert!(missed[0].length > 20.0 && (missed[0].mean_width - 3.0).abs() < 0.2);
/// # Ok::<(), medseg_metrics::MetricsError>(())
/// ```
#[derive(Debug)]
pub struct Centrelines<'a> {
    prediction: &'a Mask,
    reference: &'a Mask,
    prediction_skeleton: Mask,
    reference_skeleton: Mask,
    precision: (u64, u64),
    sensitivity: (u64, u64),
}

impl<'a> Centrelines<'a> {
    /// Skeletons of both masks ([`skeletonize`]) and how much of each lies in the other mask.
    ///
    /// # Errors
    /// When the sizes differ.
    pub fn new(prediction: &'a Mask, reference: &'a Mask) -> Result<Self> {
        prediction.same_shape(reference)?;
        let (prediction_skeleton, reference_skeleton) = (skeletonize(prediction), skeletonize(reference));
        let inside = |skeleton: &Mask, mask: &Mask| {
            let pairs = skeleton.words().iter().zip(mask.words());
            pairs.fold((0, 0), |(hits, all), (&s, &m)| {
                (hits + u64::from((s & m).count_ones()), all + u64::from(s.count_ones()))
            })
        };
        Ok(Self {
            precision: inside(&prediction_skeleton, reference),
            sensitivity: inside(&reference_skeleton, prediction),
            prediction,
            reference,
            prediction_skeleton,
            reference_skeleton,
        })
    }

    /// Skeleton of the prediction.
    pub fn prediction_skeleton(&self) -> &Mask {
        &self.prediction_skeleton
    }

    /// Skeleton of the reference.
    pub fn reference_skeleton(&self) -> &Mask {
        &self.reference_skeleton
    }

    /// Which skeletons are empty, if any. Thinning can remove a small blob altogether.
    pub fn emptiness(&self) -> Option<Emptiness> {
        Emptiness::of(self.precision.1 == 0, self.sensitivity.1 == 0)
    }

    /// Share of the predicted centre-line that lies in the reference (Tprec).
    ///
    /// # Errors
    /// When the prediction has no centre-line and the policy refuses.
    pub fn topology_precision(&self, policy: EmptyPolicy) -> Result<Score> {
        self.share("topology precision", self.precision, policy)
    }

    /// Share of the reference centre-line that lies in the prediction (Tsens).
    ///
    /// # Errors
    /// When the reference has no centre-line and the policy refuses.
    pub fn topology_sensitivity(&self, policy: EmptyPolicy) -> Result<Score> {
        self.share("topology sensitivity", self.sensitivity, policy)
    }

    /// clDice: harmonic mean of topology precision and sensitivity (Shit et al. 2021).
    ///
    /// # Errors
    /// When a centre-line is empty, or both shares are 0, and the policy refuses.
    pub fn cldice(&self, policy: EmptyPolicy) -> Result<Score> {
        let ratio = |(hits, all): (u64, u64)| hits as f64 / all as f64;
        let disjoint = self.precision.0 == 0 && self.sensitivity.0 == 0;
        let cause = self.emptiness().or(disjoint.then_some(Emptiness::DisjointCentrelines));
        match cause {
            Some(cause) => policy.resolve("clDice", cause, Range::SCORE),
            None => {
                let (precision, sensitivity) = (ratio(self.precision), ratio(self.sensitivity));
                Ok(Score::Defined(2.0 * precision * sensitivity / (precision + sensitivity)))
            }
        }
    }

    /// The parts of the reference centre-line that the prediction does not cover, longest first.
    pub fn missed_segments(&self, spacing: Spacing) -> Vec<Segment> {
        outside(&self.reference_skeleton, self.reference, self.prediction, spacing)
    }

    /// The parts of the predicted centre-line outside the reference, longest first.
    pub fn spurious_segments(&self, spacing: Spacing) -> Vec<Segment> {
        outside(&self.prediction_skeleton, self.prediction, self.reference, spacing)
    }

    fn share(&self, metric: &'static str, (hits, all): (u64, u64), policy: EmptyPolicy) -> Result<Score> {
        match self.emptiness() {
            Some(cause) if all == 0 => policy.resolve(metric, cause, Range::SCORE),
            _ => Ok(Score::Defined(hits as f64 / all as f64)),
        }
    }
}

/// The parts of `skeleton`, which is that of `mask`, outside `other`.
fn outside(skeleton: &Mask, mask: &Mask, other: &Mask, spacing: Spacing) -> Vec<Segment> {
    let mut rest = skeleton.clone();
    for row in 0..rest.height() {
        rest.row_mut(row).iter_mut().zip(other.row(row)).for_each(|(r, o)| *r &= !o);
    }
    if rest.is_empty() {
        return Vec::new();
    }
    let numbering = Numbering::new(&rest);
    let widths = widths_at(mask, &rest, &numbering, spacing);
    let mut segments: Vec<Segment> = polylines(&rest, &numbering)
        .into_iter()
        .map(|points| {
            let steps =
                points.windows(2).map(|p| spacing.step(p[0].0.abs_diff(p[1].0) as f64, p[0].1.abs_diff(p[1].1) as f64));
            let length = steps.fold(0.0, |sum, step| sum + step);
            let mean_width =
                points.iter().filter_map(|&p| numbering.get(p)).map(|at| widths[at]).sum::<f64>() / points.len() as f64;
            Segment { points, length, mean_width }
        })
        .collect();
    segments.sort_by(|a, b| {
        b.length.total_cmp(&a.length).then(b.mean_width.total_cmp(&a.mean_width)).then(a.points.cmp(&b.points))
    });
    segments
}

/// Width of the vessel at every pixel of its skeleton, as (pixel, width), in the unit of `spacing`.
///
/// The width is twice the distance from the pixel to the nearest background pixel of the image, less one pixel (the geometric
/// mean of the spacings), because distances are measured between pixel centres: a line three pixels wide has width 3. In an
/// image without background it is the image diagonal.
pub fn vessel_widths(mask: &Mask, spacing: Spacing) -> Vec<((usize, usize), f64)> {
    let skeleton = skeletonize(mask);
    let widths = widths_at(mask, &skeleton, &Numbering::new(&skeleton), spacing);
    skeleton.pixels().zip(widths).collect()
}

/// Width of the vessel at every numbered pixel.
fn widths_at(mask: &Mask, pixels: &Mask, numbering: &Numbering<'_>, spacing: Spacing) -> Vec<f64> {
    // What remains where the image has no background.
    let mut widths = vec![spacing.diagonal(mask.height(), mask.width()); pixels.count() as usize];
    let one_pixel = (spacing.row() * spacing.column()).sqrt();
    let background = mask.complement();
    for_each_distance(&background, pixels, spacing, &Window::all(mask), &mut Vec::new(), |q, distance| {
        if let Some(at) = numbering.get((q.row, 64 * q.word + q.bit)) {
            widths[at] = 2.0 * distance - one_pixel;
        }
    });
    widths
}
