//! The samples of an image as its file holds them.

use super::Limits;
use crate::raster::Image;
use image::metadata::Orientation;

/// An image before anything has been decided about it: every sample in its own depth.
#[derive(Debug, Clone)]
pub(super) struct Raw {
    pub(super) width: usize,
    pub(super) height: usize,
    /// 1 (grey) or 3 (red, green, blue); alpha does not count.
    pub(super) colours: usize,
    /// Whether a sample of opacity follows the colours of every pixel.
    pub(super) alpha: bool,
    pub(super) samples: Samples,
    /// The sample that means white, and fully opaque; black is 0.
    pub(super) white: f64,
    /// Whether the file's compression changes values (JPEG).
    pub(super) lossy: bool,
    /// Whether the file stores white as 0 (some TIFFs); the samples are turned round already.
    pub(super) white_is_zero: bool,
}

/// `[height, width, colours + alpha]`.
#[derive(Debug, Clone)]
pub(super) enum Samples {
    U8(Vec<u8>),
    U16(Vec<u16>),
    U32(Vec<u32>),
    I32(Vec<i32>),
    F32(Vec<f32>),
    F64(Vec<f64>),
}

/// Runs the same expression on the vector of samples, whatever its type.
macro_rules! each_depth {
    ($samples:expr, $values:ident => $body:expr) => {
        match $samples {
            Samples::U8($values) => $body,
            Samples::U16($values) => $body,
            Samples::U32($values) => $body,
            Samples::I32($values) => $body,
            Samples::F32($values) => $body,
            Samples::F64($values) => $body,
        }
    };
}
pub(super) use each_depth;

/// A sample of any depth as a number.
pub(super) fn number<T: Into<f64>>(sample: T) -> f64 {
    sample.into()
}

impl Raw {
    /// Samples a pixel.
    pub(super) fn channels(&self) -> usize {
        self.colours + usize::from(self.alpha)
    }

    /// The samples as they are stored where the file stores white as 0.
    pub(super) fn as_stored(&mut self) {
        if !self.white_is_zero {
            return;
        }
        let white = self.white;
        match &mut self.samples {
            Samples::U8(values) => values.iter_mut().for_each(|v| *v = white as u8 - *v),
            Samples::U16(values) => values.iter_mut().for_each(|v| *v = white as u16 - *v),
            Samples::U32(values) => values.iter_mut().for_each(|v| *v = white as u32 - *v),
            Samples::I32(values) => values.iter_mut().for_each(|v| *v = white as i32 - *v),
            Samples::F32(values) => values.iter_mut().for_each(|v| *v = 1.0 - *v),
            Samples::F64(values) => values.iter_mut().for_each(|v| *v = white - *v),
        }
    }

    /// Turns the pixels as the orientation says.
    pub(super) fn turn(&mut self, orientation: Orientation) {
        let (width, height, channels) = (self.width, self.height, self.channels());
        let swapped = matches!(
            orientation,
            Orientation::Rotate90 | Orientation::Rotate270 | Orientation::Rotate90FlipH | Orientation::Rotate270FlipH
        );
        let size = if swapped { (height, width) } else { (width, height) };
        let source = |x: usize, y: usize| match orientation {
            Orientation::NoTransforms => (x, y),
            Orientation::FlipHorizontal => (width - 1 - x, y),
            Orientation::Rotate180 => (width - 1 - x, height - 1 - y),
            Orientation::FlipVertical => (x, height - 1 - y),
            Orientation::Rotate90FlipH => (y, x),
            Orientation::Rotate90 => (y, height - 1 - x),
            Orientation::Rotate270FlipH => (width - 1 - y, height - 1 - x),
            Orientation::Rotate270 => (width - 1 - y, x),
        };
        each_depth!(&mut self.samples, values => {
            let mut turned = Vec::with_capacity(values.len());
            for (x, y) in (0..size.1).flat_map(|y| (0..size.0).map(move |x| (x, y))) {
                let (u, v) = source(x, y);
                turned.extend_from_slice(&values[(v * width + u) * channels..][..channels]);
            }
            *values = turned;
        });
        (self.width, self.height) = size;
    }

    /// Keeps the smaller of two samples everywhere; `false` when the two images differ in kind or size.
    #[must_use]
    pub(super) fn lower(&mut self, other: &Raw) -> bool {
        fn lower<T: PartialOrd + Copy>(mine: &mut [T], theirs: &[T]) {
            mine.iter_mut().zip(theirs).filter(|(a, b)| **b < **a).for_each(|(a, b)| *a = *b);
        }
        let alike = (self.width, self.height, self.colours, self.alpha)
            == (other.width, other.height, other.colours, other.alpha);
        match (&mut self.samples, &other.samples) {
            _ if !alike => return false,
            (Samples::U8(a), Samples::U8(b)) => lower(a, b),
            (Samples::U16(a), Samples::U16(b)) => lower(a, b),
            (Samples::U32(a), Samples::U32(b)) => lower(a, b),
            (Samples::I32(a), Samples::I32(b)) => lower(a, b),
            (Samples::F32(a), Samples::F32(b)) => lower(a, b),
            (Samples::F64(a), Samples::F64(b)) => lower(a, b),
            _ => return false,
        }
        true
    }
}

/// A decoded file: the chosen page, and what else the file says.
#[derive(Debug, Clone)]
pub(super) struct Decoded {
    pub(super) raw: Raw,
    /// Pages of a TIFF, frames of a GIF; 1 elsewhere.
    pub(super) pages: usize,
    /// How a camera was held.
    pub(super) orientation: Orientation,
    /// An embedded ICC profile.
    pub(super) profile: Option<Vec<u8>>,
}

/// What can end a decoding: a limit, or a reason in words.
pub(super) enum Failure {
    Limit { what: &'static str, found: u64, limit: u64, option: &'static str },
    Reason(String),
}

/// Refuses pixels of so many `bytes` each, before any is decoded, where a side or their number is beyond the limits.
pub(super) fn check_size(width: usize, height: usize, bytes: usize, limits: &Limits) -> Result<(), Failure> {
    let (side, max_side) = (width.max(height) as u64, u64::from(limits.max_side));
    if side > max_side {
        return Err(Failure::Limit {
            what: "longest side in pixels",
            found: side,
            limit: max_side,
            option: "--max-side",
        });
    }
    let (found, limit) = ((width as u64 * height as u64).saturating_mul(bytes as u64), limits.max_decoded_bytes);
    if found > limit {
        return Err(Failure::Limit { what: "decoded size in bytes", found, limit, option: "--max-decoded" });
    }
    Ok(())
}

impl<T: std::fmt::Display> From<T> for Failure {
    fn from(reason: T) -> Self {
        Self::Reason(reason.to_string())
    }
}

/// 8-bit samples of a [`Raw`] image, alpha laid over black.
pub(super) fn over_black(width: usize, height: usize, colours: usize, alpha: bool, data: Vec<u8>) -> Image {
    if !alpha {
        return Image::from_parts(width, height, colours, data);
    }
    let dim = |v: u8, alpha: u8| ((u32::from(v) * u32::from(alpha) + 127) / 255) as u8;
    let pixels = data.chunks_exact(colours + 1);
    let laid = pixels.flat_map(|pixel| pixel[..colours].iter().map(|&v| dim(v, pixel[colours]))).collect();
    Image::from_parts(width, height, colours, laid)
}
