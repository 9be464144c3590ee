//! The protocol of an evaluation.

use crate::{Definition, EmptyPolicy, MetricsError, Result, Spacing, Tolerance};
use serde::{Deserialize, Serialize};

/// Everything that a study has to decide before it measures.
///
/// Spacing, tolerance and the empty-mask policy have no default. The percentile starts at 95, the definition at
/// [`Definition::MaxDirected`], and every pixel counts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "RawProtocol")]
pub struct Protocol {
    definitions: Vec<Definition>,
    percentile: f64,
    tolerance: Tolerance,
    spacing: Spacing,
    empty: EmptyPolicy,
    /// Written only where it is set, so that files from before it existed stay what they are.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    ignored_pixels: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawProtocol {
    definitions: Vec<Definition>,
    percentile: f64,
    tolerance: Tolerance,
    spacing: Spacing,
    empty: EmptyPolicy,
    #[serde(default)]
    ignored_pixels: bool,
}

impl TryFrom<RawProtocol> for Protocol {
    type Error = MetricsError;

    fn try_from(raw: RawProtocol) -> Result<Self> {
        Self::new(raw.spacing, raw.tolerance, raw.empty)?
            .with_ignored_pixels(raw.ignored_pixels)
            .with_percentile(raw.percentile)?
            .with_definitions(raw.definitions)
    }
}

impl Protocol {
    /// A protocol with percentile 95 and definition [`Definition::MaxDirected`].
    ///
    /// # Errors
    /// When the tolerance does not suit the spacing.
    pub fn new(spacing: Spacing, tolerance: Tolerance, empty: EmptyPolicy) -> Result<Self> {
        tolerance.in_units_of(spacing)?;
        let definitions = vec![Definition::default()];
        Ok(Self { definitions, percentile: 95.0, tolerance, spacing, empty, ignored_pixels: false })
    }

    /// With these definitions; the boundary metrics are reported under each.
    ///
    /// # Errors
    /// When there is none, or one twice.
    pub fn with_definitions(mut self, definitions: impl Into<Vec<Definition>>) -> Result<Self> {
        let definitions = definitions.into();
        let mut distinct = definitions.clone();
        distinct.sort_unstable();
        distinct.dedup();
        if definitions.is_empty() || distinct.len() != definitions.len() {
            return Err(MetricsError::Definitions(definitions));
        }
        self.definitions = definitions;
        Ok(self)
    }

    /// With another percentile of the Hausdorff distance.
    ///
    /// # Errors
    /// When it is outside 0 to 100.
    pub fn with_percentile(mut self, percentile: f64) -> Result<Self> {
        if !(0.0..=100.0).contains(&percentile) {
            return Err(MetricsError::InvalidPercentile(percentile));
        }
        self.percentile = percentile;
        Ok(self)
    }

    /// Whether references may mark pixels to be ignored (the "void" label of many label maps, often 255).
    ///
    /// Ignored pixels are background in both masks, for every metric, and they leave the pixel counts: they are no true
    /// negatives. Nothing that a prediction does there changes a result. Where a mask runs into the ignored region, it ends
    /// there; where both do, they end at the same place, and the distance is 0. Results with and without ignored pixels
    /// are not comparable, so the lock states which they are, and without this setting a pair that ignores pixels is refused.
    #[must_use]
    pub fn with_ignored_pixels(mut self, ignored_pixels: bool) -> Self {
        self.ignored_pixels = ignored_pixels;
        self
    }

    /// Definitions of the boundary metrics.
    pub fn definitions(&self) -> &[Definition] {
        &self.definitions
    }

    /// Percentile of the Hausdorff distance, 0 to 100.
    pub fn percentile(&self) -> f64 {
        self.percentile
    }

    /// Tolerance of the NSD.
    pub fn tolerance(&self) -> Tolerance {
        self.tolerance
    }

    /// Pixel spacing.
    pub fn spacing(&self) -> Spacing {
        self.spacing
    }

    /// Empty-mask policy.
    pub fn empty(&self) -> EmptyPolicy {
        self.empty
    }

    /// Whether references may mark pixels to be ignored.
    pub fn ignored_pixels(&self) -> bool {
        self.ignored_pixels
    }
}
