//! Boundary metrics: every one of them read from the same two directed sets of distances.

mod percentile;
mod surface;

use crate::distance::{Window, for_each_distance};
use crate::policy::Range;
use crate::{Definition, Emptiness, EmptyPolicy, Mask, MetricsError, Result, Score, Spacing, Tolerance};
use percentile::{percentile, weighted_percentile};
use std::cell::{OnceCell, RefCell};
use surface::{Contour, Element};

/// The surfaces of a prediction and a reference and their distances to each other.
///
/// The distances are computed when the first metric asks for them, once per kind of surface, and all further metrics reuse
/// them.
///
/// ```
/// use medseg_metrics::{Boundary, Definition, EmptyPolicy, EmptyValue, Mask, Spacing};
/// let reference = Mask::from_fn(64, 64, |r, c| (20..40).contains(&r) && (20..40).contains(&c))?;
/// let shifted = Mask::from_fn(64, 64, |r, c| (20..40).contains(&r) && (23..43).contains(&c))?;
/// let boundary = Boundary::new(&shifted, &reference, Spacing::pixels())?;
/// let policy = EmptyPolicy::new(EmptyValue::ImageDiagonal, EmptyValue::Perfect);
/// for definition in Definition::ALL {
///     assert_eq!(boundary.hausdorff_percentile(definition, 95.0, policy)?.value(), Some(3.0));
/// }
/// # Ok::<(), medseg_metrics::MetricsError>(())
/// ```
#[derive(Debug)]
pub struct Boundary<'a> {
    prediction: &'a Mask,
    reference: &'a Mask,
    spacing: Spacing,
    pixels: OnceCell<[PixelDistances; 2]>,
    contours: OnceCell<[ContourDistances; 2]>,
    /// Memory of the distance transforms.
    scratch: RefCell<Vec<u16>>,
}

/// Distances from the surface pixels of one mask to the nearest surface pixel of the other.
#[derive(Debug, Default)]
struct PixelDistances {
    to_surface: Vec<f64>,
    marks: Vec<u8>,
}

/// The pixel lies inside the other mask, so its distance to that region is 0.
const INSIDE: u8 = 1;
/// The pixel is surface only because the image ends there.
const IMAGE_EDGE: u8 = 2;

impl PixelDistances {
    /// The distances that `definition` (not [`Definition::LengthWeighted`]) uses.
    fn of(&self, definition: Definition) -> impl Iterator<Item = f64> + '_ {
        let (inside, edge) = match definition {
            Definition::PaperReleased => (INSIDE, 0),
            Definition::PaperReleasedOpenBorder => (INSIDE, IMAGE_EDGE),
            _ => (0, 0),
        };
        let pairs = self.to_surface.iter().zip(&self.marks);
        pairs
            .filter(move |(_, mark)| **mark & edge == 0)
            .map(move |(&distance, mark)| if mark & inside == 0 { distance } else { 0.0 })
    }

    fn is_empty(&self, definition: Definition) -> bool {
        self.of(definition).next().is_none()
    }
}

/// Distances from the contour elements of one mask to the nearest element of the other, with their [`Element`].
#[derive(Debug, Default)]
struct ContourDistances {
    elements: Vec<(f64, u8)>,
}

impl<'a> Boundary<'a> {
    /// The boundary of two masks of the same size.
    ///
    /// # Errors
    /// When the sizes differ.
    pub fn new(prediction: &'a Mask, reference: &'a Mask, spacing: Spacing) -> Result<Self> {
        prediction.same_shape(reference)?;
        let (pixels, contours, scratch) = (OnceCell::new(), OnceCell::new(), RefCell::default());
        Ok(Self { prediction, reference, spacing, pixels, contours, scratch })
    }

    /// Hausdorff distance: the largest distance from a surface element of either mask to the other mask.
    ///
    /// # Errors
    /// When a surface is missing and the policy refuses.
    pub fn hausdorff(&self, definition: Definition, policy: EmptyPolicy) -> Result<Score> {
        self.distance("HD", definition, policy, || match definition {
            Definition::LengthWeighted => largest(self.contours().iter().flat_map(|c| c.elements.iter().map(|e| e.0))),
            _ => largest(self.pixels().iter().flat_map(|p| p.of(definition))),
        })
    }

    /// Hausdorff distance at `percent`, 95 for HD95, as `definition` combines the two directions.
    ///
    /// # Errors
    /// When `percent` is outside 0 to 100, or a surface is missing and the policy refuses.
    pub fn hausdorff_percentile(&self, definition: Definition, percent: f64, policy: EmptyPolicy) -> Result<Score> {
        if !(0.0..=100.0).contains(&percent) {
            return Err(MetricsError::InvalidPercentile(percent));
        }
        self.distance("HD percentile", definition, policy, || match definition {
            Definition::LengthWeighted => largest(
                self.contours().iter().map(|c| weighted_percentile(&mut c.elements.clone(), self.lengths(), percent)),
            ),
            Definition::Pooled => {
                let mut pool: Vec<f64> = self.pixels().iter().flat_map(|p| p.of(definition)).collect();
                percentile(&mut pool, percent)
            }
            _ => largest(self.pixels().iter().map(|p| percentile(&mut p.of(definition).collect::<Vec<_>>(), percent))),
        })
    }

    /// Average symmetric surface distance (ASSD): mean over the distances of both directions.
    ///
    /// # Errors
    /// When a surface is missing and the policy refuses.
    pub fn average_surface_distance(&self, definition: Definition, policy: EmptyPolicy) -> Result<Score> {
        self.distance("ASSD", definition, policy, || {
            let (sum, weight) = self.total(definition, |distance| distance);
            sum / weight
        })
    }

    /// Normalised surface Dice (NSD): share of both surfaces that lies within `tolerance` of the other.
    ///
    /// # Errors
    /// When the tolerance does not suit the spacing, or a surface is missing and the policy refuses.
    pub fn surface_dice(&self, definition: Definition, tolerance: Tolerance, policy: EmptyPolicy) -> Result<Score> {
        let limit = tolerance.in_units_of(self.spacing)?;
        if let Some(cause) = self.emptiness(definition) {
            return policy.resolve("NSD", cause, Range::SCORE);
        }
        let (near, all) = self.total(definition, |distance| if distance <= limit { 1.0 } else { 0.0 });
        Ok(Score::Defined(near / all))
    }

    /// Which masks have no surface under `definition`, if any.
    pub fn emptiness(&self, definition: Definition) -> Option<Emptiness> {
        let by_mask = Emptiness::of(self.prediction.is_empty(), self.reference.is_empty());
        if by_mask.is_none() && definition == Definition::PaperReleasedOpenBorder {
            let [prediction, reference] = self.pixels();
            return Emptiness::of(prediction.is_empty(definition), reference.is_empty(definition));
        }
        by_mask
    }

    fn distance(
        &self,
        metric: &'static str,
        definition: Definition,
        policy: EmptyPolicy,
        measure: impl FnOnce() -> f64,
    ) -> Result<Score> {
        match self.emptiness(definition) {
            None => Ok(Score::Defined(measure())),
            Some(cause) => {
                let diagonal = self.spacing.diagonal(self.prediction.height(), self.prediction.width());
                policy.resolve(metric, cause, Range::distance(diagonal))
            }
        }
    }

    /// Weighted sum of `value(distance)` over both directions, and the sum of the weights.
    fn total(&self, definition: Definition, value: impl Fn(f64) -> f64) -> (f64, f64) {
        let add = |(sum, weight): (f64, f64), (v, w): (f64, f64)| (sum + v * w, weight + w);
        if definition == Definition::LengthWeighted {
            let lengths = self.lengths();
            let elements = self.contours().iter().flat_map(|c| &c.elements);
            return elements.map(|&(d, class)| (value(d), lengths[usize::from(class)])).fold((0.0, 0.0), add);
        }
        self.pixels().iter().flat_map(|p| p.of(definition)).map(|d| (value(d), 1.0)).fold((0.0, 0.0), add)
    }

    /// Length of each [`Element`], in the unit of the spacing.
    fn lengths(&self) -> [f64; 4] {
        let diagonal = 0.5 * self.spacing.step(1.0, 1.0);
        [diagonal, self.spacing.column(), self.spacing.row(), 2.0 * diagonal]
    }

    /// Prediction to reference, then reference to prediction.
    fn pixels(&self) -> &[PixelDistances; 2] {
        self.pixels.get_or_init(|| {
            let window = Window::joint(self.prediction, self.reference);
            let (prediction, reference) = (self.prediction.surface(), self.reference.surface());
            let rows = &mut *self.scratch.borrow_mut();
            let mut directed = |mask: &Mask, surface: &Mask, other: &Mask, other_surface: &Mask| {
                let open = mask.surface_with_open_border();
                let mut set = PixelDistances::default();
                for_each_distance(other_surface, surface, self.spacing, &window, rows, |q, distance| {
                    let at = |mask: &Mask| mask.row(q.row)[q.word] >> q.bit & 1 == 1;
                    let inside = if at(other) { INSIDE } else { 0 };
                    let edge = if at(&open) { 0 } else { IMAGE_EDGE };
                    set.to_surface.push(distance);
                    set.marks.push(inside | edge);
                });
                set
            };
            [
                directed(self.prediction, &prediction, self.reference, &reference),
                directed(self.reference, &reference, self.prediction, &prediction),
            ]
        })
    }

    fn contours(&self) -> &[ContourDistances; 2] {
        self.contours.get_or_init(|| {
            let (prediction, reference) = (Contour::new(self.prediction), Contour::new(self.reference));
            let window = Window::joint(&prediction.elements, &reference.elements);
            let rows = &mut *self.scratch.borrow_mut();
            let mut directed = |from: &Contour, to: &Contour| {
                let mut set = ContourDistances::default();
                for_each_distance(&to.elements, &from.elements, self.spacing, &window, rows, |q, distance| {
                    let class = match from.element(q.row, q.word, q.bit) {
                        Element::Diagonal => 0,
                        Element::Horizontal => 1,
                        Element::Vertical => 2,
                        Element::DoubleDiagonal => 3,
                    };
                    set.elements.push((distance, class));
                });
                set
            };
            [directed(&prediction, &reference), directed(&reference, &prediction)]
        })
    }
}

fn largest(values: impl Iterator<Item = f64>) -> f64 {
    values.fold(0.0, f64::max)
}
