//! From files to pixels under explicit limits.
//!
//! Formats are told by their content, never by their extension: PNG (1 to 16 bits, palette, alpha), JPEG, TIFF and BigTIFF (1 to
//! 32 bits, floats, palette, pages), GIF, BMP, PGM/PPM. What is cut or corrupt is an error in every format; a decoder that
//! panics on a broken file costs an error, not the process.
//!
//! Images become 8 bits as [`ImageOptions`] say; without a word, the whole range of the format is scaled to 0..255, the first
//! page is read, and a transparent pixel is laid over black. [`inspect_image`] says what was left out. Masks are judged by the
//! values of the file itself, as [`MaskRule`] says: [`decode_mask`] is the one way from a mask file to a mask.

mod complete;
mod jpeg;
mod kinds;
mod mask;
mod options;
mod plain;
mod raw;
mod reduce;
mod tiff;

pub use kinds::{FileKind, not_read};
pub use mask::{DecodedMask, Label, Labels, MaskPolicy, MaskRule, ValueShares};
pub use options::{ExifOrientation, ImageOptions, IntensityRange, Pages};
pub use reduce::Loss;

use crate::error::{DataError, Result};
use crate::raster::Image;
use raw::{Decoded, Failure};
use serde::{Deserialize, Serialize};
use std::io::Read;
use std::path::{Path, PathBuf};

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
    let over =
        |found| DataError::Limit { path: path.to_owned(), what: "file size in bytes", found, limit, option: None };
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

/// Reads an image file.
fn read_image(path: &Path, limits: &Limits) -> Result<Vec<u8>> {
    read_limited(path, limits.max_file_bytes).map_err(|error| match error {
        DataError::Limit { path, what, found, limit, .. } => {
            DataError::Limit { path, what, found, limit, option: Some("--max-file") }
        }
        other => other,
    })
}

fn decode(path: &Path, bytes: &[u8], limits: &Limits, pages: Pages) -> Result<Decoded> {
    let fail = |reason: String| DataError::Decode { path: path.to_owned(), reason };
    if bytes.is_empty() {
        return Err(fail("the file has no bytes".into()));
    }
    let guarded = std::panic::catch_unwind(|| match () {
        () if jpeg::is_jpeg(bytes) => jpeg::decode(bytes, limits, pages),
        () if tiff::is_tiff(bytes) => tiff::decode(bytes, limits, pages),
        () => plain::decode(bytes, limits, pages),
    });
    match guarded {
        Err(_) => Err(fail("the decoder failed on this file".into())),
        Ok(Err(Failure::Reason(reason))) => Err(fail(reason)),
        Ok(Err(Failure::Limit { what, found, limit, option })) => {
            Err(DataError::Limit { path: path.to_owned(), what, found, limit, option: Some(option) })
        }
        Ok(Ok(decoded)) => Ok(decoded),
    }
}

/// Decodes an image file to 8-bit grey or colour.
///
/// # Errors
/// [`DataError::Io`], [`DataError::Limit`] and [`DataError::Decode`], all naming the file; [`DataError::Config`] for options out
/// of range.
pub fn decode_image(path: impl AsRef<Path>, limits: &Limits, options: &ImageOptions) -> Result<Image> {
    let path = path.as_ref();
    decode_image_bytes(path, &read_image(path, limits)?, limits, options)
}

/// [`decode_image`] on bytes that are in memory; `path` is only for messages.
///
/// # Errors
/// As [`decode_image`].
pub fn decode_image_bytes(path: &Path, bytes: &[u8], limits: &Limits, options: &ImageOptions) -> Result<Image> {
    options.validate()?;
    reduce(path, decode(path, bytes, limits, options.pages)?, options)
}

fn reduce(path: &Path, decoded: Decoded, options: &ImageOptions) -> Result<Image> {
    reduce::reduce(decoded, options).map_err(|reason| DataError::Decode { path: path.to_owned(), reason })
}

/// [`decode_image`], and everything that the file holds and the reading of it left out.
///
/// # Errors
/// As [`decode_image`].
pub fn inspect_image(path: impl AsRef<Path>, limits: &Limits, options: &ImageOptions) -> Result<(Image, Vec<Loss>)> {
    let path = path.as_ref();
    options.validate()?;
    let decoded = decode(path, &read_image(path, limits)?, limits, options.pages)?;
    inspect(path, &decoded, options)
}

fn inspect(path: &Path, decoded: &Decoded, options: &ImageOptions) -> Result<(Image, Vec<Loss>)> {
    let image = reduce(path, decoded.clone(), options)?;
    let losses = reduce::losses(decoded, options, &image);
    Ok((image, losses))
}

/// The smallest value of several images at every pixel, in grey: the projection of a sequence whose frames are files.
///
/// # Errors
/// As [`decode_image`]; [`DataError::SizeMismatch`] between frames.
pub(crate) fn decode_lowest(paths: &[PathBuf], limits: &Limits, options: &ImageOptions) -> Result<Image> {
    let (path, decoded) = lowest(paths, limits, options)?;
    Ok(reduce(path, decoded, options)?.to_grey())
}

/// [`decode_lowest`], and what was left out.
///
/// # Errors
/// As [`decode_lowest`].
pub(crate) fn inspect_lowest(paths: &[PathBuf], limits: &Limits, options: &ImageOptions) -> Result<(Image, Vec<Loss>)> {
    let (path, decoded) = lowest(paths, limits, options)?;
    let (image, losses) = inspect(path, &decoded, options)?;
    Ok((image.to_grey(), losses))
}

fn lowest<'a>(paths: &'a [PathBuf], limits: &Limits, options: &ImageOptions) -> Result<(&'a Path, Decoded)> {
    options.validate()?;
    let fail = |path: &Path, reason: &str| DataError::Decode { path: path.to_owned(), reason: reason.to_owned() };
    let Some((first, rest)) = paths.split_first() else {
        return Err(fail(Path::new(""), "a sequence without frames"));
    };
    let read = |path: &Path| decode(path, &read_image(path, limits)?, limits, options.pages);
    let mut decoded = read(first)?;
    for path in rest {
        let frame = read(path)?;
        let (expected, found) = [&decoded.raw, &frame.raw].map(|raw| (raw.width, raw.height)).into();
        crate::dataset::same_size(first, expected, path, found)?;
        if !decoded.raw.lower(&frame.raw) {
            return Err(fail(path, &format!("expected channels and depth as in {}", first.display())));
        }
        decoded.pages = decoded.pages.max(frame.pages);
    }
    Ok((first, decoded))
}

/// Decodes a mask file, and says with it what of the file was left out (pages, an ignored orientation). Of the options, only
/// the orientation concerns masks; of several pages the first is the mask.
///
/// # Errors
/// As [`decode_image`]; [`DataError::MultiClassMask`] and [`DataError::UnclearMask`] for a file whose foreground cannot be told by
/// the rule, [`DataError::EmptyMask`] for one without any unless `policy` allows it.
pub fn decode_mask(
    path: impl AsRef<Path>,
    limits: &Limits,
    options: &ImageOptions,
    policy: &MaskPolicy,
) -> Result<(DecodedMask, Vec<Loss>)> {
    let path = path.as_ref();
    let options = ImageOptions { pages: Pages::First, ..*options };
    let mut decoded = decode(path, &read_image(path, limits)?, limits, options.pages)?;
    let losses = reduce::file_losses(&decoded, &options);
    decoded.raw.as_stored();
    if options.orientation == ExifOrientation::Apply {
        decoded.raw.turn(decoded.orientation);
    }
    Ok((mask::judge(path, &decoded.raw, policy)?, losses))
}
