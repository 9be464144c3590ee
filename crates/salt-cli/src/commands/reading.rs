//! Options that say how image and mask files are read.

use medseg_data::OpenOptions;
use medseg_data::decode::{ExifOrientation, ImageOptions, IntensityRange, Label, Limits, Pages};
use serde::de::DeserializeOwned;

/// Reads a value by the name that configuration files use for it.
pub(super) fn named<T: DeserializeOwned>(text: &str) -> Result<T, String> {
    serde_json::from_value(serde_json::Value::String(text.to_owned())).map_err(|e| e.to_string())
}

/// What is foreground in mask files.
#[derive(Debug, Clone, Default, clap::Args)]
pub(crate) struct MaskArgs {
    /// Masks are grey, and values from this on are foreground: 128 halves 8 bits, 32768 16 bits, 0.5 floats [default: masks
    /// have two values, 0 and one other]
    #[arg(long, value_name = "VALUE", value_parser = parse_threshold, conflicts_with_all = ["foreground", "background", "ignore"])]
    pub(crate) threshold: Option<f64>,
    /// Masks are label maps, and these values are foreground: numbers, or colours such as #ff0000
    #[arg(long, value_name = "VALUES", value_delimiter = ',')]
    pub(crate) foreground: Vec<Label>,
    /// Values of label maps that are background; needed only for files without any foreground
    #[arg(long, value_name = "VALUES", value_delimiter = ',')]
    pub(crate) background: Vec<Label>,
    /// Values of masks whose pixels are not counted, neither in the loss nor in a metric
    #[arg(long, value_name = "VALUES", value_delimiter = ',')]
    pub(crate) ignore: Vec<Label>,
}

fn parse_threshold(text: &str) -> Result<f64, String> {
    let threshold = text.parse::<f64>().ok().filter(|value| value.is_finite() && *value > 0.0);
    threshold.ok_or_else(|| format!("expected a number above 0, found `{text}`"))
}

impl MaskArgs {
    /// The same choices as `[data.options]` of a run file holds them.
    pub(crate) fn options(&self) -> OpenOptions {
        OpenOptions {
            threshold: self.threshold,
            foreground: self.foreground.clone(),
            background: self.background.clone(),
            ignore: self.ignore.clone(),
            ..OpenOptions::default()
        }
    }
}

/// How image files become 8 bits.
#[derive(Debug, Clone, Default, clap::Args)]
pub(crate) struct ImageArgs {
    /// Which values become black and white: full (the range of the format), own (of each image), or two percentiles such as
    /// 0.5,99.5
    #[arg(long, value_name = "RANGE", default_value = "full")]
    pub(crate) range: IntensityRange,
    /// Which pages of a TIFF or frames of a GIF make up the image: first, minimum (over all), or a number from 1
    #[arg(long, value_name = "PAGES", default_value = "first")]
    pub(crate) pages: Pages,
    /// What becomes of the orientation that a camera wrote into a file: ignore or apply
    #[arg(long, value_name = "WHAT", default_value = "ignore")]
    pub(crate) orientation: ExifOrientation,
}

impl ImageArgs {
    /// The same choices as a bundle holds them.
    pub(crate) fn options(&self) -> ImageOptions {
        ImageOptions { range: self.range, pages: self.pages, orientation: self.orientation }
    }
}

/// How large an image file may be: a small file can ask for all the memory there is.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct LimitArgs {
    /// Longest side of an image that is read
    #[arg(long, value_name = "PIXELS", default_value_t = Limits::default().max_side)]
    max_side: u32,
    /// Most memory for the pixels of one image, in MiB
    #[arg(long, value_name = "MIB", default_value_t = Limits::default().max_decoded_bytes >> 20, value_parser = mebibytes())]
    max_decoded: u64,
    /// Largest image file, in MiB
    #[arg(long, value_name = "MIB", default_value_t = Limits::default().max_file_bytes >> 20, value_parser = mebibytes())]
    max_file: u64,
}

fn mebibytes() -> clap::builder::RangedU64ValueParser {
    clap::value_parser!(u64).range(1..=1 << 40)
}

impl LimitArgs {
    /// The same in bytes.
    pub(crate) fn limits(&self) -> Limits {
        Limits {
            max_file_bytes: self.max_file << 20,
            max_side: self.max_side,
            max_decoded_bytes: self.max_decoded << 20,
        }
    }
}
