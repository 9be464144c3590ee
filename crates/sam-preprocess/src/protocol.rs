//! The ways of preprocessing that this project has.

use crate::{PreprocessError, ResizeGeometry};
use medseg_metrics::Mask;
use serde::{Deserialize, Serialize};

/// Mean of red, green, blue under which Segment Anything was trained.
const MEAN: [f32; 3] = [123.675, 116.28, 103.53];
/// Standard deviations that go with it.
const STD: [f32; 3] = [58.395, 57.12, 57.375];
/// The same with the released SALT code's slip in the first digit pair.
const STD_PAPER: [f32; 3] = [53.395, 57.12, 57.375];

/// How images become tensors, and logits masks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Protocol {
    /// Segment Anything's own: longest side resized with antialiasing, normalised, then padded with zeros; masks stay binary;
    /// augmentation after resizing, all geometry in one interpolation; foreground where the logit is above 0.
    #[default]
    Default,
    /// The released SALT code's: augmentation first (rotation to the nearest pixel), shortest side to `size - 1`, masks
    /// resized with the image and left soft, padding before a stretch of each image to 0..255, first standard deviation
    /// 53.395; foreground where the probability is at least one half. For checking the paper's numbers.
    Paper,
    /// Segment Anything 2's own: stretched to the square (each axis by its own factor, no padding) with antialiasing on floats that
    /// are not rounded, then normalised as in [`Protocol::Default`]; masks stay binary; augmentation first, in the image's own pixels;
    /// foreground where the logit is above 0.
    Sam2,
    /// The inference script's of MedSAM: stretched to the square by cubic splines with antialiasing, cut to whole grey levels, each image
    /// from its least to its largest value to 0..1, and no mean or deviation; masks stay binary; augmentation first, in the image's own
    /// pixels; probabilities, not logits, are interpolated to the image, and more than one half is foreground.
    #[serde(rename = "medsam")]
    MedSam,
}

impl Protocol {
    /// Whether a pixel with this logit is foreground: above 0 under [`Protocol::Default`] and [`Protocol::Sam2`] (their
    /// `mask_threshold`) and [`Protocol::MedSam`] (a sigmoid of more than 0.5), at least 0 under [`Protocol::Paper`] (its code asks for a
    /// sigmoid of at least 0.5).
    pub fn is_foreground(self, logit: f32) -> bool {
        match self {
            Self::Default | Self::Sam2 | Self::MedSam => logit > 0.0,
            Self::Paper => logit >= 0.0,
        }
    }

    /// Whether the values of an image are brought to 0..1, from its own least to its own largest, before [`mean`](Self::mean) and
    /// [`standard_deviation`](Self::standard_deviation) apply; elsewhere they are grey levels of 0 to 255.
    pub fn scales_each_image(self) -> bool {
        self == Self::MedSam
    }

    /// Whether probabilities are interpolated to the image's own pixels, and not logits.
    pub fn interpolates_probabilities(self) -> bool {
        self == Self::MedSam
    }

    /// What is subtracted from red, green and blue.
    pub fn mean(self) -> [f32; 3] {
        if self.scales_each_image() { [0.0; 3] } else { MEAN }
    }

    /// What they are then divided by.
    pub fn standard_deviation(self) -> [f32; 3] {
        match self {
            Self::Default | Self::Sam2 => STD,
            Self::Paper => STD_PAPER,
            Self::MedSam => [1.0; 3],
        }
    }

    /// The pixels of a map of logits, `[height, width]`, that are foreground.
    ///
    /// # Errors
    /// [`PreprocessError::NanLogit`]; [`PreprocessError::Mask`] if the values do not fill the map or a side is one that no
    /// mask can have.
    pub fn decide(self, height: usize, width: usize, logits: &[f32]) -> Result<Mask, PreprocessError> {
        if let Some(at) = logits.iter().position(|logit| logit.is_nan()) {
            let width = width.max(1);
            return Err(PreprocessError::NanLogit { row: at / width, column: at % width });
        }
        let foreground: Vec<bool> = logits.iter().map(|&logit| self.is_foreground(logit)).collect();
        Ok(Mask::from_bools(height, width, &foreground)?)
    }

    pub(crate) fn geometry(self, original: (usize, usize), side: usize) -> ResizeGeometry {
        match self {
            Self::Default => ResizeGeometry::longest_side(original, side),
            Self::Paper => ResizeGeometry::paper(original, side),
            Self::Sam2 | Self::MedSam => ResizeGeometry::stretched(original, side),
        }
    }

    /// What every byte value of every channel becomes. The paper's stretch to 0..255 and MedSAM's to 0..1 need the image's extremes.
    pub(crate) fn tables(self, extremes: impl Fn() -> (u8, u8)) -> [[f32; 256]; 3] {
        match self {
            Self::Default | Self::Sam2 => {
                std::array::from_fn(|c| std::array::from_fn(|v| (v as f32 - MEAN[c]) / STD[c]))
            }
            Self::Paper => {
                let (low, high) = extremes();
                let span = f32::from(high) - f32::from(low);
                let stretch = |v: usize| {
                    // A black image has no span; the released code divides by zero there.
                    if span > 0.0 { ((v as f32 - f32::from(low)) / span * 255.0).clamp(0.0, 255.0) } else { 0.0 }
                };
                std::array::from_fn(|c| std::array::from_fn(|v| (stretch(v) - MEAN[c]) / STD_PAPER[c]))
            }
            Self::MedSam => {
                let (low, high) = extremes();
                let span = (f64::from(high) - f64::from(low)).max(1e-8);
                [std::array::from_fn(|v| ((v as f64 - f64::from(low)) / span) as f32); 3]
            }
        }
    }
}
