//! How the pixels of image files are read.

use crate::error::DataError;
use serde::{Deserialize, Serialize};
use std::num::NonZeroUsize;

/// How image files are read where a file leaves a choice. What a model was trained with belongs to it: images for prediction
/// must be read in the same way.
///
/// ```
/// use medseg_data::decode::{ImageOptions, IntensityRange, Pages};
/// let options: ImageOptions = toml::from_str("range = { percentiles = [0.5, 99.5] }\npages = \"minimum\"")?;
/// assert_eq!(options.range, IntensityRange::Percentiles([0.5, 99.5]));
/// assert_eq!(options.pages, Pages::Minimum);
/// # Ok::<(), toml::de::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub struct ImageOptions {
    /// Which values become black and white.
    pub range: IntensityRange,
    /// Which pages of a TIFF or frames of a GIF make up the image.
    pub pages: Pages,
    /// What becomes of the orientation that a camera wrote into the file; it concerns mask files too.
    pub orientation: ExifOrientation,
}

/// Which values of a file become 0 and 255; what lies between is scaled, what lies beyond is cut off.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum IntensityRange {
    /// The whole range of the file's format: 0 to 255, 0 to 65535, 0.0 to 1.0.
    #[default]
    Full,
    /// The smallest and the largest value of the image itself.
    Own,
    /// Two percentiles of the image's values, 0 to 100: `[0.5, 99.5]` leaves out a few hot or dead pixels.
    Percentiles([f64; 2]),
}

/// Which pages of a file make up the image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Pages {
    /// The first.
    #[default]
    First,
    /// The smallest value of all pages at every pixel: contrast medium is dark, so this shows every vessel that filled at any
    /// time of a sequence.
    Minimum,
    /// The page of this number, counted from 1.
    #[serde(untagged)]
    Number(NonZeroUsize),
}

impl Pages {
    /// Refuses the number of a page that a file of one page lacks.
    pub(super) fn only_one(self) -> Result<(), String> {
        match self {
            Self::Number(number) if number.get() > 1 => Err(format!("expected a page {number}, found 1")),
            _ => Ok(()),
        }
    }
}

/// What becomes of an EXIF orientation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ExifOrientation {
    /// The pixels stay as they are stored: right for masks that were drawn on them.
    #[default]
    Ignore,
    /// The pixels are turned as viewers turn them: right for masks that were drawn in a viewer.
    Apply,
}

impl ImageOptions {
    /// Checks every value.
    ///
    /// # Errors
    /// [`DataError::Config`] for percentiles that are not two ascending numbers of 0 to 100.
    pub fn validate(&self) -> Result<(), DataError> {
        match self.range {
            IntensityRange::Percentiles([low, high]) if !(0.0 <= low && low < high && high <= 100.0) => {
                let expected = "two ascending percentiles of 0 to 100";
                Err(DataError::config("range", expected, format!("{low} and {high}")))
            }
            _ => Ok(()),
        }
    }
}

impl std::str::FromStr for IntensityRange {
    type Err = String;

    /// `full`, `own`, or two percentiles such as `0.5,99.5`.
    fn from_str(text: &str) -> Result<Self, String> {
        let number = |part: &str| part.trim().parse::<f64>().ok();
        match text.split_once(',').map(|(low, high)| (number(low), number(high))) {
            None if text == "full" => Ok(Self::Full),
            None if text == "own" => Ok(Self::Own),
            Some((Some(low), Some(high))) => Ok(Self::Percentiles([low, high])),
            _ => Err(format!("expected full, own or two percentiles such as 0.5,99.5, found {text}")),
        }
    }
}

impl std::str::FromStr for Pages {
    type Err = String;

    /// `first`, `minimum`, or a number from 1.
    fn from_str(text: &str) -> Result<Self, String> {
        match (text, text.parse()) {
            ("first", _) => Ok(Self::First),
            ("minimum", _) => Ok(Self::Minimum),
            (_, Ok(number)) => Ok(Self::Number(number)),
            _ => Err(format!("expected first, minimum or the number of a page from 1, found {text}")),
        }
    }
}

impl std::str::FromStr for ExifOrientation {
    type Err = String;

    /// `ignore` or `apply`.
    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "ignore" => Ok(Self::Ignore),
            "apply" => Ok(Self::Apply),
            _ => Err(format!("expected ignore or apply, found {text}")),
        }
    }
}
