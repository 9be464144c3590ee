//! JPEG in strict mode: what is cut or corrupt is an error, never grey pixels.
//!
//! Decoders for browsers fill what is missing with grey. Here every marker must be where it belongs, every block must be there,
//! and the file must end in its end-of-image marker: a file that was cut anywhere lacks it.

use super::Pages;
use super::raw::{Decoded, Failure, Raw, Samples};
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
    if width.max(height) > limits.max_side as usize {
        return Err(Failure::Side(width.max(height) as u32));
    }
    let colours = if space == ColorSpace::Luma { 1 } else { 3 };
    let wanted = if colours == 1 { ColorSpace::Luma } else { ColorSpace::RGB };
    let bytes_needed = (width * height * colours) as u64;
    if bytes_needed > limits.max_decoded_bytes {
        return Err(format!("decoding needs {bytes_needed} bytes, the limit is {}", limits.max_decoded_bytes).into());
    }
    if !is_complete(bytes) {
        return Err("the file is cut: its end-of-image marker is missing".into());
    }
    decoder.set_options(decoder.options().jpeg_set_out_colorspace(wanted));
    let samples = decoder.decode()?;
    let orientation = decoder.exif().and_then(|exif| Orientation::from_exif_chunk(exif));
    let raw = Raw { width, height, colours, alpha: false, samples: Samples::U8(samples), white: 255.0, lossy: true };
    Ok(Decoded {
        raw,
        pages: 1,
        orientation: orientation.unwrap_or(Orientation::NoTransforms),
        profile: decoder.icc_profile(),
    })
}

/// Walks over the segments of the file to the end-of-image marker of its own level: a thumbnail inside a segment has one too.
fn is_complete(bytes: &[u8]) -> bool {
    let mut at = 2;
    while let Some(&[first, marker]) = bytes.get(at..at + 2) {
        if first != 0xFF {
            // Entropy-coded data, or stray bytes: on to the next marker.
            let Some(ahead) = bytes[at..].iter().position(|&byte| byte == 0xFF) else { return false };
            at += ahead;
            continue;
        }
        match marker {
            0xD9 => return true,
            // Fill bytes before a marker.
            0xFF => at += 1,
            // A stuffed 0xFF, a restart, and the markers that stand alone.
            0x00 | 0x01 | 0xD0..=0xD8 => at += 2,
            _ => {
                let Some(&[high, low]) = bytes.get(at + 2..at + 4) else { return false };
                at += 2 + usize::from(u16::from_be_bytes([high, low])).max(2);
            }
        }
    }
    false
}
