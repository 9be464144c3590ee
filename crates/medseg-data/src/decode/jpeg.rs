//! JPEG in strict mode: what is cut or corrupt is an error, never grey pixels.
//!
//! Decoders for browsers fill what is missing with grey. Here every marker must be where it belongs, every block must be there,
//! and the file must end in its end-of-image marker: a file that was cut anywhere lacks it.

use super::raw::{Decoded, Failure, Raw, Samples, check_size};
use super::{Pages, complete};
use crate::decode::Limits;
use image::metadata::Orientation;
use zune_core::bytestream::ZCursor;
use zune_core::colorspace::ColorSpace;
use zune_core::options::DecoderOptions;
use zune_jpeg::JpegDecoder;

/// Whether these are the first bytes of a JPEG file.
pub(super) fn is_jpeg(bytes: &[u8]) -> bool {
    bytes.starts_with(&[0xFF, 0xD8, 0xFF])
}

/// Decodes a whole file.
pub(super) fn decode(bytes: &[u8], limits: &Limits, pages: Pages) -> Result<Decoded, Failure> {
    pages.only_one()?;
    let options = DecoderOptions::default().set_strict_mode(true).set_max_width(usize::MAX).set_max_height(usize::MAX);
    let mut decoder = JpegDecoder::new_with_options(ZCursor::new(bytes), options);
    decoder.decode_headers()?;
    let (Some((width, height)), Some(space)) = (decoder.dimensions(), decoder.input_colorspace()) else {
        return Err("the header states no size".into());
    };
    let colours = if space == ColorSpace::Luma { 1 } else { 3 };
    let wanted = if colours == 1 { ColorSpace::Luma } else { ColorSpace::RGB };
    check_size(width, height, colours, limits)?;
    if !complete::jpeg(bytes) {
        return Err("the file is cut: its end-of-image marker is missing".into());
    }
    decoder.set_options(decoder.options().jpeg_set_out_colorspace(wanted));
    let samples = decoder.decode()?;
    let orientation = decoder.exif().and_then(|exif| Orientation::from_exif_chunk(exif));
    let raw = Raw {
        width,
        height,
        colours,
        alpha: false,
        samples: Samples::U8(samples),
        white: 255.0,
        lossy: true,
        white_is_zero: false,
    };
    Ok(Decoded {
        raw,
        pages: 1,
        orientation: orientation.unwrap_or(Orientation::NoTransforms),
        profile: decoder.icc_profile(),
    })
}
