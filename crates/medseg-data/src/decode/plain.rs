//! PNG, GIF, BMP and PNM through the image crate.

use super::raw::{Decoded, Failure, Raw, Samples};
use super::{Pages, complete};
use crate::decode::Limits;
use image::codecs::gif::GifDecoder;
use image::metadata::Orientation;
use image::{AnimationDecoder, DynamicImage, ImageDecoder, ImageFormat, ImageReader};
use std::io::Cursor;

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
    if width.max(height) > limits.max_side {
        return Err(Failure::Side(width.max(height)));
    }
    let mut bound = image::Limits::default();
    bound.max_image_width = Some(limits.max_side);
    bound.max_image_height = Some(limits.max_side);
    bound.max_alloc = Some(limits.max_decoded_bytes);
    let whole = match format {
        ImageFormat::Png => complete::png(bytes),
        ImageFormat::Gif => complete::gif(bytes),
        // The others have no end marker: what is cut off is missing.
        _ => true,
    };
    if !whole {
        return Err("the file is cut: its end marker is missing".into());
    }
    if format == ImageFormat::Gif {
        return frames(bytes, bound, pages);
    }
    pages.only_one()?;
    let mut reader = reader(bytes)?;
    reader.limits(bound.clone());
    let mut decoder = reader.into_decoder()?;
    if decoder.total_bytes() > limits.max_decoded_bytes {
        return Err(format!("decoding needs more than the limit of {} bytes", limits.max_decoded_bytes).into());
    }
    decoder.set_limits(bound)?;
    let orientation = decoder.orientation()?;
    let profile = decoder.icc_profile()?;
    let raw = raw(DynamicImage::from_decoder(decoder)?)?;
    Ok(Decoded { raw, pages: 1, orientation, profile })
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
    Ok(Raw { width, height, colours, alpha: colour.has_alpha(), samples, white, lossy: false })
}
