//! PNG, GIF, BMP and PNM through the image crate.

use super::raw::{Decoded, Failure, Raw, Samples, check_size};
use super::{Pages, complete};
use crate::decode::Limits;
use image::codecs::gif::GifDecoder;
use image::codecs::pnm::{PnmDecoder, PnmSubtype};
use image::metadata::Orientation;
use image::{AnimationDecoder, DynamicImage, ImageDecoder, ImageFormat, ImageReader};
use std::io::Cursor;

/// What a decoder may need beside the pixels, in bytes.
const ROOM: u64 = 16 << 20;

fn reader(bytes: &[u8]) -> Result<ImageReader<Cursor<&[u8]>>, Failure> {
    Ok(ImageReader::new(Cursor::new(bytes)).with_guessed_format()?)
}

/// Decodes the page that is asked for; only a GIF has more than one.
pub(super) fn decode(bytes: &[u8], limits: &Limits, pages: Pages) -> Result<Decoded, Failure> {
    let Some(format) = reader(bytes)?.format() else {
        let start = bytes.iter().take(8).map(|b| format!("{b:02x}")).collect::<Vec<_>>().join(" ");
        return Err(format!("expected png, jpeg, tiff, gif, bmp or pnm, found the first bytes {start}").into());
    };
    let mut header = reader(bytes)?;
    header.no_limits();
    let (width, height) = header.into_dimensions()?;
    // A GIF is composed in four channels; of the others the decoder says how much they need.
    let least = if format == ImageFormat::Gif { 4 } else { 0 };
    check_size(width as usize, height as usize, least, limits)?;
    let mut bound = image::Limits::default();
    bound.max_image_width = Some(limits.max_side);
    bound.max_image_height = Some(limits.max_side);
    // The pixels are counted here; decoders need room of their own beside them.
    bound.max_alloc = Some(limits.max_decoded_bytes.saturating_mul(2).saturating_add(ROOM));
    let whole = match format {
        ImageFormat::Png => complete::png(bytes),
        ImageFormat::Gif => complete::gif(bytes),
        ImageFormat::Bmp => complete::bmp(bytes),
        // The others have no end marker: what is cut off is missing.
        _ => true,
    };
    if !whole {
        return Err("the file is cut: its end is missing".into());
    }
    if format == ImageFormat::Gif {
        return frames(bytes, bound, pages);
    }
    pages.only_one()?;
    let mut reader = reader(bytes)?;
    reader.limits(bound.clone());
    let mut decoder = reader.into_decoder()?;
    check_size(width as usize, height as usize, usize::from(decoder.color_type().bytes_per_pixel()), limits)?;
    decoder.set_limits(bound)?;
    let orientation = decoder.orientation()?;
    let profile = decoder.icc_profile()?;
    let mut raw = raw(DynamicImage::from_decoder(decoder)?)?;
    if let Some(white) = own_white(bytes, format)? {
        to_own_units(&mut raw, white);
    }
    let pages = if format == ImageFormat::Png { complete::png_frames(bytes) } else { 1 };
    Ok(Decoded { raw, pages, orientation, profile })
}

/// The white of a file whose samples do not fill their bytes; the decoder spreads them to 8 or 16 bits.
fn own_white(bytes: &[u8], format: ImageFormat) -> Result<Option<u32>, Failure> {
    Ok(match format {
        // The header's chunk comes first. Grey, alone: a palette's colours have 8 bits.
        ImageFormat::Png => match bytes.get(24..26) {
            Some(&[bits @ 1..8, 0]) => Some((1 << bits) - 1),
            _ => None,
        },
        ImageFormat::Pnm => {
            let decoder = PnmDecoder::new(Cursor::new(bytes))?;
            let is_bitmap = matches!(decoder.subtype(), PnmSubtype::Bitmap(_));
            Some(decoder.header().maximal_sample()).filter(|_| !is_bitmap)
        }
        _ => None,
    })
}

/// Back to the values that the file holds: labels are numbers, not shades.
fn to_own_units(raw: &mut Raw, white: u32) {
    let factor = f64::from(white) / raw.white;
    match &mut raw.samples {
        Samples::U8(values) if white < 255 => {
            values.iter_mut().for_each(|v| *v = (f64::from(*v) * factor).round() as u8)
        }
        Samples::U16(values) if white < 65_535 => {
            values.iter_mut().for_each(|v| *v = (f64::from(*v) * factor).round() as u16);
        }
        _ => return,
    }
    raw.white = f64::from(white);
}

fn frames(bytes: &[u8], bound: image::Limits, pages: Pages) -> Result<Decoded, Failure> {
    let mut decoder = GifDecoder::new(Cursor::new(bytes))?;
    decoder.set_limits(bound)?;
    let (mut count, mut chosen) = (0, None::<Raw>);
    for frame in decoder.into_frames() {
        let frame = raw(DynamicImage::ImageRgba8(frame?.into_buffer()))?;
        count += 1;
        let fits = match (&mut chosen, pages) {
            (Some(lowest), Pages::Minimum) => lowest.lower(&frame),
            (None, Pages::Number(number)) if number.get() != count => true,
            (None, _) => {
                chosen = Some(frame);
                true
            }
            _ => true,
        };
        if !fits {
            return Err(format!("frame {count} differs from the first in size").into());
        }
    }
    let raw = match (chosen, pages) {
        (Some(raw), _) => raw,
        (None, Pages::Number(number)) => return Err(format!("expected a page {number}, found {count}").into()),
        (None, _) => return Err("the file has no frame".into()),
    };
    Ok(Decoded { raw, pages: count, orientation: Orientation::NoTransforms, profile: None })
}

fn raw(decoded: DynamicImage) -> Result<Raw, Failure> {
    let (width, height) = (decoded.width() as usize, decoded.height() as usize);
    if width == 0 || height == 0 {
        return Err("the image has no pixels".into());
    }
    let colour = decoded.color();
    let samples = match decoded {
        DynamicImage::ImageLuma8(image) => Samples::U8(image.into_raw()),
        DynamicImage::ImageLumaA8(image) => Samples::U8(image.into_raw()),
        DynamicImage::ImageRgb8(image) => Samples::U8(image.into_raw()),
        DynamicImage::ImageRgba8(image) => Samples::U8(image.into_raw()),
        DynamicImage::ImageLuma16(image) => Samples::U16(image.into_raw()),
        DynamicImage::ImageLumaA16(image) => Samples::U16(image.into_raw()),
        DynamicImage::ImageRgb16(image) => Samples::U16(image.into_raw()),
        DynamicImage::ImageRgba16(image) => Samples::U16(image.into_raw()),
        _ => return Err(format!("pixels of the kind {colour:?} are not supported").into()),
    };
    let white = if matches!(samples, Samples::U8(_)) { 255.0 } else { 65_535.0 };
    let colours = if colour.has_color() { 3 } else { 1 };
    Ok(Raw { width, height, colours, alpha: colour.has_alpha(), samples, white, lossy: false, white_is_zero: false })
}
