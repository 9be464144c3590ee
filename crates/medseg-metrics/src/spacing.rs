//! Physical size of a pixel, and tolerances with their unit.

use crate::{MetricsError, Result};
use serde::{Deserialize, Serialize};
use std::fmt;

/// Unit of every distance that a result holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Unit {
    /// Pixels.
    #[serde(rename = "px")]
    Pixels,
    /// Millimetres.
    #[serde(rename = "mm")]
    Millimetres,
}

impl fmt::Display for Unit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Pixels => "px",
            Self::Millimetres => "mm",
        })
    }
}

/// Distance between pixel centres along rows and along columns, with its unit.
///
/// ```
/// use medseg_metrics::{Spacing, Unit};
/// assert_eq!(Spacing::pixels().unit(), Unit::Pixels);
/// let spacing = Spacing::millimetres(0.8, 1.7)?;
/// assert_eq!((spacing.row(), spacing.column()), (0.8, 1.7));
/// assert!(Spacing::millimetres(0.0, 1.0).is_err());
/// # Ok::<(), medseg_metrics::MetricsError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "RawSpacing")]
pub struct Spacing {
    row: f64,
    column: f64,
    unit: Unit,
}

#[derive(Deserialize)]
struct RawSpacing {
    row: f64,
    column: f64,
    unit: Unit,
}

impl TryFrom<RawSpacing> for Spacing {
    type Error = MetricsError;

    fn try_from(raw: RawSpacing) -> Result<Self> {
        Self::checked(raw.row, raw.column, raw.unit)
    }
}

impl Spacing {
    /// Square pixels of side 1; distances are in pixels.
    pub fn pixels() -> Self {
        Self { row: 1.0, column: 1.0, unit: Unit::Pixels }
    }

    /// Distance from one row to the next and from one column to the next, in millimetres.
    ///
    /// # Errors
    /// When either is not positive and finite.
    pub fn millimetres(row: f64, column: f64) -> Result<Self> {
        Self::checked(row, column, Unit::Millimetres)
    }

    fn checked(row: f64, column: f64, unit: Unit) -> Result<Self> {
        let usable = |v: f64| v.is_finite() && v > 0.0;
        if !usable(row) || !usable(column) {
            return Err(MetricsError::InvalidSpacing { row, column });
        }
        Ok(Self { row, column, unit })
    }

    /// Distance from one row to the next.
    pub fn row(&self) -> f64 {
        self.row
    }

    /// Distance from one column to the next.
    pub fn column(&self) -> f64 {
        self.column
    }

    /// Unit of both.
    pub fn unit(&self) -> Unit {
        self.unit
    }

    /// Distance between opposite corners of an image of `height` x `width` pixels: no distance within it is larger.
    pub fn diagonal(&self, height: usize, width: usize) -> f64 {
        (height as f64 * self.row).hypot(width as f64 * self.column)
    }

    /// Length of a step of (rows, columns).
    pub(crate) fn step(&self, rows: f64, columns: f64) -> f64 {
        ((rows * self.row).powi(2) + (columns * self.column).powi(2)).sqrt()
    }
}

impl fmt::Display for Spacing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} x {} {}", self.row, self.column, self.unit)
    }
}

/// Tolerance of the normalised surface Dice (NSD), always with its unit.
///
/// Parsed from `2px`, `1.5mm`, or a bare number, which means pixels.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
#[non_exhaustive]
pub enum Tolerance {
    /// Pixels; needs square pixels.
    Pixels(f64),
    /// Millimetres; needs a [`Spacing`] in millimetres.
    Millimetres(f64),
}

impl Tolerance {
    /// In the unit of `spacing`.
    ///
    /// # Errors
    /// When the number is negative or not finite, when pixels are not square and the tolerance is in pixels, or when the
    /// tolerance is in millimetres and no spacing in millimetres is known.
    pub fn in_units_of(&self, spacing: Spacing) -> Result<f64> {
        let (Self::Pixels(value) | Self::Millimetres(value)) = *self;
        if !value.is_finite() || value < 0.0 {
            return Err(MetricsError::InvalidTolerance(value));
        }
        let refuse = |reason| {
            Err(MetricsError::ToleranceUnit { tolerance: self.to_string(), spacing: spacing.to_string(), reason })
        };
        match (self, spacing.unit) {
            (Self::Pixels(v), _) if spacing.row == spacing.column => Ok(v * spacing.row),
            (Self::Pixels(_), _) => refuse("pixels are not square, so give the tolerance in millimetres"),
            (Self::Millimetres(v), Unit::Millimetres) => Ok(*v),
            (Self::Millimetres(_), Unit::Pixels) => refuse("give the pixel spacing in millimetres"),
        }
    }
}

impl fmt::Display for Tolerance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pixels(v) => write!(f, "{v}px"),
            Self::Millimetres(v) => write!(f, "{v}mm"),
        }
    }
}

impl From<Tolerance> for String {
    fn from(tolerance: Tolerance) -> Self {
        tolerance.to_string()
    }
}

impl TryFrom<String> for Tolerance {
    type Error = MetricsError;

    fn try_from(text: String) -> Result<Self> {
        text.parse()
    }
}
