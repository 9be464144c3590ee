//! From files to pixels under explicit limits.
//!
//! Formats are told by their content, never by their extension: PNG (1, 8, 16 bit, palette, alpha), JPEG, TIFF, GIF (first
//! frame), BMP, PGM/PPM. 16-bit values are scaled from 0..65535 to 0..255 without stretching. A transparent pixel is laid
//! over black. A decoder that panics on a broken file costs an error, not the process.

use crate::error::{DataError, Result};
use crate::raster::Image;
use image::{DynamicImage, ImageReader};
use medseg_metrics::Mask;
use serde::{Deserialize, Serialize};
use std::io::{Cursor, Read};
use std::path::Path;

/// How much a file may ask for before it is refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Largest file, in bytes.
    pub max_file_bytes: u64,
    /// Largest width and height, in pixels.
    pub max_side: u32,
    /// Largest decoded size, in bytes.
    pub max_decoded_bytes: u64,
}

impl Default for Limits {
    /// 256 MiB of file, 16384 pixels a side, 512 MiB decoded: well above any medical image, well below any machine's memory.
    fn default() -> Self {
        Self { max_file_bytes: 256 << 20, max_side: 16_384, max_decoded_bytes: 512 << 20 }
    }
}

/// Reads a file of at most `limit` bytes.
pub(crate) fn read_limited(path: &Path, limit: u64) -> Result<Vec<u8>> {
    let file = std::fs::File::open(path).map_err(DataError::io(path))?;
    let length = file.metadata().map_err(DataError::io(path))?.len();
    let over = |found| DataError::Limit { path: path.to_owned(), what: "file size in bytes", found, limit };
    if length > limit {
        return Err(over(length));
    }
    let mut bytes = Vec::with_capacity(length as usize);
    // A pipe or a growing file reports no true length: read one byte more than allowed and no further.
    file.take(limit.saturating_add(1)).read_to_end(&mut bytes).map_err(DataError::io(path))?;
    if bytes.len() as u64 > limit {
        return Err(over(bytes.len() as u64));
    }
    Ok(bytes)
}

fn decode(path: &Path, bytes: &[u8], limits: &Limits) -> Result<DynamicImage> {
    let fail = |reason: String| DataError::Decode { path: path.to_owned(), reason };
    if bytes.is_empty() {
        return Err(fail("the file has no bytes".into()));
    }
    let reader = || ImageReader::new(Cursor::new(bytes)).with_guessed_format();
    let first = reader().map_err(DataError::io(path))?;
    if first.format().is_none() {
        let start = bytes.iter().take(8).map(|b| format!("{b:02x}")).collect::<Vec<_>>().join(" ");
        return Err(fail(format!("expected png, jpeg, tiff, gif, bmp or pnm, found the first bytes {start}")));
    }
    let guarded = std::panic::catch_unwind(|| {
        let mut header = reader().map_err(image::ImageError::IoError)?;
        header.no_limits();
        let (width, height) = header.into_dimensions()?;
        if width.max(height) > limits.max_side {
            return Ok(Err(width.max(height)));
        }
        let mut reader = reader().map_err(image::ImageError::IoError)?;
        let mut bound = image::Limits::default();
        bound.max_image_width = Some(limits.max_side);
        bound.max_image_height = Some(limits.max_side);
        bound.max_alloc = Some(limits.max_decoded_bytes);
        reader.limits(bound);
        reader.decode().map(Ok)
    });
    match guarded {
        Err(_) => Err(fail("the decoder failed on this file".into())),
        Ok(Err(image::ImageError::Limits(error))) => Err(DataError::Decode {
            path: path.to_owned(),
            reason: format!("decoding needs more than the limit of {} bytes: {error}", limits.max_decoded_bytes),
        }),
        Ok(Err(error)) => Err(fail(error.to_string())),
        Ok(Ok(Err(side))) => Err(DataError::Limit {
            path: path.to_owned(),
            what: "longest side in pixels",
            found: u64::from(side),
            limit: u64::from(limits.max_side),
        }),
        Ok(Ok(Ok(decoded))) if decoded.width() == 0 || decoded.height() == 0 => {
            Err(fail("the image has no pixels".into()))
        }
        Ok(Ok(Ok(decoded))) => Ok(decoded),
    }
}

/// Grey stays grey, everything else becomes colour; alpha is laid over black.
fn flatten(decoded: DynamicImage) -> Image {
    let (width, height) = (decoded.width() as usize, decoded.height() as usize);
    let over_black = |v: u8, alpha: u8| ((u32::from(v) * u32::from(alpha) + 127) / 255) as u8;
    match decoded {
        DynamicImage::ImageLuma8(grey) => Image::from_parts(width, height, 1, grey.into_raw()),
        DynamicImage::ImageRgb8(rgb) => Image::from_parts(width, height, 3, rgb.into_raw()),
        grey @ DynamicImage::ImageLuma16(_) => Image::from_parts(width, height, 1, grey.into_luma8().into_raw()),
        grey @ (DynamicImage::ImageLumaA8(_) | DynamicImage::ImageLumaA16(_)) => {
            let raw = grey.into_luma_alpha8().into_raw();
            Image::from_parts(width, height, 1, raw.chunks_exact(2).map(|p| over_black(p[0], p[1])).collect())
        }
        other if other.color().has_alpha() => {
            let raw = other.into_rgba8().into_raw();
            let data = raw.chunks_exact(4).flat_map(|p| [0, 1, 2].map(|c| over_black(p[c], p[3]))).collect();
            Image::from_parts(width, height, 3, data)
        }
        other => Image::from_parts(width, height, 3, other.into_rgb8().into_raw()),
    }
}

/// Decodes an image file to 8-bit grey or colour.
///
/// # Errors
/// [`DataError::Io`], [`DataError::Limit`] and [`DataError::Decode`], all naming the file.
pub fn decode_image(path: impl AsRef<Path>, limits: &Limits) -> Result<Image> {
    let path = path.as_ref();
    decode_image_bytes(path, &read_limited(path, limits.max_file_bytes)?, limits)
}

/// [`decode_image`] on bytes that are in memory; `path` is only for messages.
///
/// # Errors
/// As [`decode_image`].
pub fn decode_image_bytes(path: &Path, bytes: &[u8], limits: &Limits) -> Result<Image> {
    decode(path, bytes, limits).map(flatten)
}

/// What counts as foreground, and whether a mask may have none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct MaskPolicy {
    /// A value of 0..255 is foreground when it is at least this (1 to 255). Masks whose largest value is 1 are 0/1 masks and
    /// need no threshold.
    pub threshold: u8,
    /// Whether a mask without foreground is accepted; otherwise it is an error.
    pub allow_empty: bool,
}

impl Default for MaskPolicy {
    /// At least 128 is foreground; an empty mask is an error.
    fn default() -> Self {
        Self { threshold: 128, allow_empty: false }
    }
}

impl MaskPolicy {
    /// Everything above 0 is foreground, as the released code of the paper has it. On an anti-aliased mask this thickens
    /// every vessel: only for the paper's protocol.
    pub fn any_positive() -> Self {
        Self { threshold: 1, allow_empty: false }
    }
}

/// Decodes a mask file to 0 and 1.
///
/// # Errors
/// As [`decode_image`]; [`DataError::EmptyMask`] and [`DataError::MultiClassMask`] by `policy`.
pub fn decode_mask(path: impl AsRef<Path>, limits: &Limits, policy: MaskPolicy) -> Result<Mask> {
    let path = path.as_ref();
    decode_mask_bytes(path, &read_limited(path, limits.max_file_bytes)?, limits, policy)
}

/// [`decode_mask`] on bytes that are in memory; `path` is only for messages.
///
/// # Errors
/// As [`decode_mask`].
pub fn decode_mask_bytes(path: &Path, bytes: &[u8], limits: &Limits, policy: MaskPolicy) -> Result<Mask> {
    mask_from_image(path, decode_image_bytes(path, bytes, limits)?, policy)
}

/// Largest difference between the channels of a mask that is grey in truth (jpeg leaves such traces).
const COLOUR_TOLERANCE: u8 = 16;

/// Thresholds a decoded mask after having made sure that it is one.
pub(crate) fn mask_from_image(path: &Path, image: Image, policy: MaskPolicy) -> Result<Mask> {
    if policy.threshold == 0 {
        return Err(DataError::config("threshold", "1 to 255", 0));
    }
    let many = |found: String| DataError::MultiClassMask { path: path.to_owned(), found };
    if image.channels() == 3 {
        let coloured = |p: &&[u8]| p.iter().max() > p.iter().min().map(|v| v.saturating_add(COLOUR_TOLERANCE)).as_ref();
        if let Some(pixel) = image.data().chunks_exact(3).find(coloured) {
            return Err(many(format!("colour, such as ({}, {}, {})", pixel[0], pixel[1], pixel[2])));
        }
    }
    let grey = image.to_grey();
    let (width, height) = grey.size();
    let data = grey.into_data();
    let mut counts = [0usize; 256];
    for &value in &data {
        counts[value as usize] += 1;
    }
    let largest = (0..256).rev().find(|&v| counts[v] > 0).unwrap_or(0) as u8;
    if let Some(found) = classes(&data, width, &counts, largest) {
        return Err(many(found));
    }
    let threshold = if largest == 1 { 1 } else { policy.threshold };
    if largest < threshold && !policy.allow_empty {
        return Err(DataError::EmptyMask { path: path.to_owned(), threshold, largest });
    }
    let foreground: Vec<bool> = data.iter().map(|&value| value >= threshold).collect();
    Ok(Mask::from_bools(height, width, &foreground)?)
}

/// Tells label maps from masks with soft edges. Two or more small positive values (largest below 64) are labels. Otherwise a
/// value between background and foreground that fills whole 3x3 blocks is a class of its own: soft edges do not.
fn classes(data: &[u8], width: usize, counts: &[usize; 256], largest: u8) -> Option<String> {
    let list = |values: Vec<usize>| {
        let shown = values.iter().take(8).map(usize::to_string).collect::<Vec<_>>().join(", ");
        format!("the values {shown}{}", if values.len() > 8 { ", ..." } else { "" })
    };
    let present = || (0..256).filter(|&v| counts[v] > 0).collect::<Vec<_>>();
    if largest < 64 {
        let positive = (1..256).filter(|&v| counts[v] > 0).count();
        return (positive > 1).then(|| list(present()));
    }
    let between = |v: u8| v > 31 && v < largest.saturating_sub(31);
    let share: usize = (0..=255u8).filter(|&v| between(v)).map(|v| counts[v as usize]).sum();
    if share == 0 {
        return None;
    }
    let blocks = data
        .windows(2 * width + 3)
        .enumerate()
        .filter(|(start, _)| start % width + 2 < width)
        .filter(|(_, w)| between(w[0]))
        .filter(|(_, w)| (0..3).all(|row| (0..3).all(|column| w[row * width + column] == w[0])))
        .count();
    (blocks >= 9).then(|| list(present()))
}
