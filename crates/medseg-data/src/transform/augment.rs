//! What is varied in training, and how much.

use crate::error::{DataError, Result};
use serde::{Deserialize, Serialize};

/// A random quantity: with `probability` it is drawn uniformly from `low` to `high`, otherwise nothing happens.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Jitter {
    /// 0 (never) to 1 (always).
    pub probability: f64,
    /// Smallest value.
    pub low: f64,
    /// Largest value.
    pub high: f64,
}

impl Jitter {
    const fn new(probability: f64, low: f64, high: f64) -> Self {
        Self { probability, low, high }
    }
}

/// Elastic deformation: random vectors on a coarse grid, joined smoothly.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Elastic {
    /// 0 (never) to 1 (always).
    pub probability: f64,
    /// Grid cells along each side, 1 to 64.
    pub cells: usize,
    /// Standard deviation of a displacement, as a share of the longest side (0 to 0.1).
    pub amplitude: f64,
}

/// The augmentation of a training pipeline; every probability may be 0.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Augmentation {
    /// Probability of mirroring left and right.
    pub horizontal_flip: f64,
    /// Probability of mirroring top and bottom.
    pub vertical_flip: f64,
    /// Rotation in degrees, counter-clockwise.
    pub rotation: Jitter,
    /// Factor on all values.
    pub brightness: Jitter,
    /// Factor on the distance to the mean grey.
    pub contrast: Jitter,
    /// Magnification about the centre.
    pub scale: Jitter,
    /// Share of both sides that a random crop keeps (it is enlarged to the full size again).
    pub crop: Jitter,
    /// Elastic deformation.
    pub elastic: Elastic,
}

impl Default for Augmentation {
    /// Moderate: mirrored left and right, rotated by up to 15 degrees, brightness, contrast and scale varied by up to a fifth;
    /// no crop, no elastic deformation.
    fn default() -> Self {
        Self {
            horizontal_flip: 0.5,
            vertical_flip: 0.0,
            rotation: Jitter::new(0.5, -15.0, 15.0),
            brightness: Jitter::new(0.5, 0.8, 1.2),
            contrast: Jitter::new(0.5, 0.8, 1.2),
            scale: Jitter::new(0.5, 0.85, 1.2),
            crop: Jitter::new(0.0, 0.7, 1.0),
            elastic: Elastic { probability: 0.0, cells: 6, amplitude: 0.02 },
        }
    }
}

impl Augmentation {
    /// Nothing is varied: for evaluation.
    pub fn none() -> Self {
        let own = Self::default();
        let off = |jitter: Jitter| Jitter { probability: 0.0, ..jitter };
        Self {
            horizontal_flip: 0.0,
            vertical_flip: 0.0,
            rotation: off(own.rotation),
            brightness: off(own.brightness),
            contrast: off(own.contrast),
            scale: off(own.scale),
            crop: off(own.crop),
            elastic: Elastic { probability: 0.0, ..own.elastic },
        }
    }

    /// The released code's: mirrored with probability 1/2; rotated with probability 1/2 by a whole number of 1 to 10 degrees,
    /// in one direction only; with probability 1/2 brighter by a factor of 2 max(1/2, U), U uniform on 0 to 1.
    pub fn paper() -> Self {
        Self {
            horizontal_flip: 0.5,
            rotation: Jitter::new(0.5, 1.0, 10.0),
            brightness: Jitter::new(0.5, 1.0, 2.0),
            ..Self::none()
        }
    }

    /// Whether anything can happen at all.
    pub fn is_none(&self) -> bool {
        let jitters = [self.rotation, self.brightness, self.contrast, self.scale, self.crop].map(|j| j.probability);
        let others = [self.horizontal_flip, self.vertical_flip, self.elastic.probability];
        jitters.into_iter().chain(others).all(|p| p == 0.0)
    }

    /// Checks every value.
    ///
    /// # Errors
    /// [`DataError::Config`] naming the first field out of range.
    pub fn validate(&self) -> Result<()> {
        let share = |field, p: f64| {
            if (0.0..=1.0).contains(&p) { Ok(()) } else { Err(DataError::config(field, "a probability of 0 to 1", p)) }
        };
        let range = |field, j: &Jitter, low: f64, high: f64| {
            share(field, j.probability)?;
            if low <= j.low && j.low <= j.high && j.high <= high {
                return Ok(());
            }
            Err(DataError::config(
                field,
                format!("low <= high within {low} to {high}"),
                format!("{} to {}", j.low, j.high),
            ))
        };
        share("horizontal_flip", self.horizontal_flip)?;
        share("vertical_flip", self.vertical_flip)?;
        range("rotation", &self.rotation, -180.0, 180.0)?;
        range("brightness", &self.brightness, 0.0, 10.0)?;
        range("contrast", &self.contrast, 0.0, 10.0)?;
        range("scale", &self.scale, 0.1, 10.0)?;
        range("crop", &self.crop, 0.1, 1.0)?;
        share("elastic.probability", self.elastic.probability)?;
        if !(1..=64).contains(&self.elastic.cells) {
            return Err(DataError::config("elastic.cells", "1 to 64", self.elastic.cells));
        }
        if !(0.0..=0.1).contains(&self.elastic.amplitude) {
            return Err(DataError::config("elastic.amplitude", "0 to 0.1", self.elastic.amplitude));
        }
        Ok(())
    }
}
