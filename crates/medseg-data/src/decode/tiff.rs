//! TIFF of both generations, with everything that scientific software writes: palettes, 1 to 32 bits, floats, pages.

use super::raw::{Decoded, Failure, Raw, Samples, check_size, each_depth};
use super::{Pages, complete};
use crate::decode::Limits;
use image::metadata::Orientation;
use std::io::Cursor;
use tiff::ColorType;
use tiff::decoder::{BufferLayoutPreference, Decoder, DecodingResult};
use tiff::tags::{PhotometricInterpretation, Tag};

/// Whether these are the first bytes of a TIFF file, classic or BigTIFF.
pub(super) fn is_tiff(bytes: &[u8]) -> bool {
    [b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"].iter().any(|magic| bytes.starts_with(*magic))
}

fn open<'a>(bytes: &'a [u8], limits: &Limits) -> Result<Decoder<Cursor<&'a [u8]>>, Failure> {
    let mut bound = tiff::decoder::Limits::default();
    bound.decoding_buffer_size = usize::try_from(limits.max_decoded_bytes).unwrap_or(usize::MAX);
    bound.intermediate_buffer_size = bound.decoding_buffer_size;
    Ok(Decoder::new(Cursor::new(bytes))?.with_limits(bound))
}

/// Decodes the page that is asked for.
pub(super) fn decode(bytes: &[u8], limits: &Limits, pages: Pages) -> Result<Decoded, Failure> {
    let mut decoder = open(bytes, limits)?;
    let mut count = 1;
    check_whole(&mut decoder, bytes)?;
    while decoder.more_images() {
        decoder.next_image()?;
        check_whole(&mut decoder, bytes)?;
        count += 1;
    }
    let wanted = match pages {
        Pages::First | Pages::Minimum => 1,
        Pages::Number(number) if number.get() <= count => number.get(),
        Pages::Number(number) => return Err(format!("expected a page {number}, found {count}").into()),
    };
    let (mut raw, orientation, profile) = page(bytes, wanted - 1, limits)?;
    if pages == Pages::Minimum {
        for index in 1..count {
            if !raw.lower(&page(bytes, index, limits)?.0) {
                return Err(format!("page {} differs from the first in size, channels or depth", index + 1).into());
            }
        }
    }
    Ok(Decoded { raw, pages: count, orientation, profile })
}

const JPEG: u16 = 7;

/// Refuses a page whose strips or tiles lie beyond the file's end, or are JPEG without its end marker: decoders fill what is missing.
fn check_whole(decoder: &mut Decoder<Cursor<&[u8]>>, bytes: &[u8]) -> Result<(), Failure> {
    let mut list = |tag: Tag| decoder.find_tag_unsigned_vec::<u64>(tag);
    let (mut starts, mut lengths) = (list(Tag::StripOffsets)?, list(Tag::StripByteCounts)?);
    if starts.is_none() {
        (starts, lengths) = (list(Tag::TileOffsets)?, list(Tag::TileByteCounts)?);
    }
    let is_jpeg = decoder.find_tag_unsigned::<u16>(Tag::Compression)? == Some(JPEG);
    for (start, length) in starts.unwrap_or_default().into_iter().zip(lengths.unwrap_or_default()) {
        let end = start.checked_add(length).and_then(|end| usize::try_from(end).ok()).filter(|end| *end <= bytes.len());
        let Some(end) = end else {
            return Err(format!(
                "the file is cut: {length} bytes from {start} on are beyond its {} bytes",
                bytes.len()
            )
            .into());
        };
        if is_jpeg && !complete::jpeg(&bytes[start as usize..end]) {
            return Err(format!("the JPEG at {start} is cut: its end-of-image marker is missing").into());
        }
    }
    Ok(())
}

fn page(bytes: &[u8], index: usize, limits: &Limits) -> Result<(Raw, Orientation, Option<Vec<u8>>), Failure> {
    let mut decoder = open(bytes, limits)?;
    decoder.seek_to_image(index)?;
    let photometric = decoder.find_tag_unsigned::<u16>(Tag::PhotometricInterpretation)?;
    let palette = photometric == Some(PhotometricInterpretation::RGBPalette.to_u16());
    if !palette {
        return samples(&mut decoder, None, limits);
    }
    // The decoder refuses palettes, but it reads the same bytes as grey values: these are the indices.
    let colours = decoder.get_tag_u16_vec(Tag::ColorMap)?;
    let start = decoder.ifd_pointer().ok_or("the page has no directory")?.0;
    let grey = with_photometric(bytes, start, PhotometricInterpretation::BlackIsZero.to_u16())
        .ok_or("the directory of the page is cut")?;
    let mut decoder = open(&grey, limits)?;
    decoder.seek_to_image(index)?;
    samples(&mut decoder, Some(&colours), limits)
}

/// The file with another photometric interpretation in the directory at `start`.
fn with_photometric(bytes: &[u8], start: u64, value: u16) -> Option<Vec<u8>> {
    let (little, big_tiff) = (bytes[0] == b'I', bytes[2..4].contains(&b'+'));
    let number = |at: usize, length: usize| -> Option<u64> {
        let field = bytes.get(at..at.checked_add(length)?)?;
        let fold = |sum: u64, byte: &u8| sum << 8 | u64::from(*byte);
        Some(if little { field.iter().rev().fold(0, fold) } else { field.iter().fold(0, fold) })
    };
    let start = usize::try_from(start).ok()?;
    let (head, entry, place) = if big_tiff { (8, 20, 12) } else { (2, 12, 8) };
    let count = usize::try_from(number(start, head)?).ok()?;
    let tag = u64::from(Tag::PhotometricInterpretation.to_u16());
    let first = start + head;
    let at = (0..count.min(65_536)).map(|i| first + i * entry).find(|&at| number(at, 2) == Some(tag))? + place;
    let mut changed = bytes.to_vec();
    let field = if little { value.to_le_bytes() } else { value.to_be_bytes() };
    changed.get_mut(at..at + 2)?.copy_from_slice(&field);
    Some(changed)
}

fn samples(
    decoder: &mut Decoder<Cursor<&[u8]>>,
    palette: Option<&[u16]>,
    limits: &Limits,
) -> Result<(Raw, Orientation, Option<Vec<u8>>), Failure> {
    let (width, height) = decoder.dimensions()?;
    let (width, height) = (width as usize, height as usize);
    check_size(width, height, 1, limits)?;
    let colour_type = decoder.colortype()?;
    let (kind, bits) = match colour_type {
        ColorType::Gray(bits) => ((1, 0), bits),
        ColorType::GrayA(bits) => ((1, 1), bits),
        ColorType::Multiband { bit_depth, num_samples: 2 } if has_alpha(decoder)? => ((1, 1), bit_depth),
        ColorType::RGB(bits) => ((3, 0), bits),
        ColorType::RGBA(bits) => ((3, 1), bits),
        ColorType::CMYK(bits) => ((4, 0), bits),
        other => return Err(format!("pixels of the kind {other:?} are not supported").into()),
    };
    check_size(width, height, ((kind.0 + kind.1) * usize::from(bits)).div_ceil(8), limits)?;
    let mut result = DecodingResult::U8(Vec::new());
    let layout = decoder.read_image_to_buffer(&mut result)?;
    let channels = kind.0 + kind.1;
    let mut samples = convert(result)?;
    if bits < 8 {
        samples = unpack(&samples, width * channels, height, bits)?;
    }
    each_depth!(&mut samples, values => interleave(values, &layout, width * height, channels)?);
    let expected = width * height * channels;
    let found = each_depth!(&samples, values => values.len());
    if found != expected {
        return Err(format!("expected {expected} samples, found {found}").into());
    }
    let white = match &samples {
        Samples::U8(_) if bits < 8 => f64::from((1u16 << bits) - 1),
        Samples::U8(_) => 255.0,
        Samples::U16(_) => 65_535.0,
        Samples::U32(_) => f64::from(u32::MAX),
        Samples::I32(_) => f64::from(i32::MAX),
        Samples::F32(_) | Samples::F64(_) => 1.0,
    };
    let photometric = decoder.find_tag_unsigned::<u16>(Tag::PhotometricInterpretation)?;
    let white_is_zero = photometric == Some(PhotometricInterpretation::WhiteIsZero.to_u16());
    let lossy = decoder.find_tag_unsigned::<u16>(Tag::Compression)? == Some(JPEG);
    let mut raw = Raw { width, height, colours: kind.0, alpha: kind.1 == 1, samples, white, lossy, white_is_zero };
    if kind.0 == 4 {
        raw = from_ink(raw)?;
    }
    if let Some(palette) = palette {
        raw = coloured(raw, palette, bits)?;
    }
    let orientation = decoder.find_tag_unsigned::<u8>(Tag::Orientation)?.and_then(Orientation::from_exif);
    let profile = decoder.get_tag_u8_vec(Tag::IccProfile).ok();
    Ok((raw, orientation.unwrap_or(Orientation::NoTransforms), profile))
}

/// Whether the first extra sample is opacity.
fn has_alpha(decoder: &mut Decoder<Cursor<&[u8]>>) -> Result<bool, Failure> {
    let extra = decoder.find_tag_unsigned_vec::<u16>(Tag::ExtraSamples)?;
    Ok(extra.is_some_and(|kinds| matches!(kinds.first(), Some(1 | 2))))
}

fn convert(result: DecodingResult) -> Result<Samples, Failure> {
    Ok(match result {
        DecodingResult::U8(values) => Samples::U8(values),
        DecodingResult::U16(values) => Samples::U16(values),
        DecodingResult::U32(values) => Samples::U32(values),
        DecodingResult::I8(values) => Samples::I32(values.into_iter().map(i32::from).collect()),
        DecodingResult::I16(values) => Samples::I32(values.into_iter().map(i32::from).collect()),
        DecodingResult::I32(values) => Samples::I32(values),
        DecodingResult::F16(values) => Samples::F32(values.into_iter().map(|value| value.to_f32()).collect()),
        DecodingResult::F32(values) => Samples::F32(values),
        DecodingResult::F64(values) => Samples::F64(values),
        DecodingResult::U64(values) => whole_numbers(values.into_iter().map(i128::from))?,
        DecodingResult::I64(values) => whole_numbers(values.into_iter().map(i128::from))?,
    })
}

/// Integers of 64 bits, as NumPy makes them without being asked, as far as floats hold them exactly.
fn whole_numbers(values: impl Iterator<Item = i128>) -> Result<Samples, Failure> {
    let exact = |value: i128| match value.unsigned_abs() <= 1 << 53 {
        true => Ok(value as f64),
        false => Err(Failure::from(format!("expected integers of at most 2^53, found {value}"))),
    };
    Ok(Samples::F64(values.map(exact).collect::<Result<_, _>>()?))
}

/// Samples of less than a byte; every row begins with a byte of its own.
fn unpack(packed: &Samples, row: usize, height: usize, bits: u8) -> Result<Samples, Failure> {
    let (Samples::U8(packed), 1 | 2 | 4) = (packed, bits) else {
        return Err(format!("samples of {bits} bits are not supported").into());
    };
    let bytes = (row * usize::from(bits)).div_ceil(8);
    let each = usize::from(8 / bits);
    let value = |line: &[u8], x: usize| line[x / each] >> (8 - usize::from(bits) * (x % each + 1)) & ((1 << bits) - 1);
    let lines = packed.chunks_exact(bytes).take(height);
    Ok(Samples::U8(lines.flat_map(|line| (0..row).map(move |x| value(line, x))).collect()))
}

/// Planes one after the other become samples side by side.
fn interleave<T: Copy>(
    values: &mut Vec<T>,
    layout: &BufferLayoutPreference,
    pixels: usize,
    channels: usize,
) -> Result<(), Failure> {
    if layout.planes <= 1 {
        return Ok(());
    }
    if layout.planes < channels || values.len() < pixels * channels {
        return Err(format!("expected {channels} planes, found {}", layout.planes).into());
    }
    *values = (0..pixels * channels).map(|i| values[i % channels * pixels + i / channels]).collect();
    Ok(())
}

/// Cyan, magenta, yellow and black to red, green and blue, without a colour profile.
fn from_ink(raw: Raw) -> Result<Raw, Failure> {
    let white = raw.white as u64;
    let mix = |ink: &[u64]| [0, 1, 2].map(|c| (white - ink[c]) * (white - ink[3]) / white);
    let samples = match &raw.samples {
        Samples::U8(values) => {
            let pixels = values.chunks_exact(4).map(|ink| mix(&[0, 1, 2, 3].map(|c| u64::from(ink[c]))));
            Samples::U8(pixels.flat_map(|pixel| pixel.map(|v| v as u8)).collect())
        }
        Samples::U16(values) => {
            let pixels = values.chunks_exact(4).map(|ink| mix(&[0, 1, 2, 3].map(|c| u64::from(ink[c]))));
            Samples::U16(pixels.flat_map(|pixel| pixel.map(|v| v as u16)).collect())
        }
        _ => return Err("inks of this depth are not supported".into()),
    };
    Ok(Raw { colours: 3, samples, ..raw })
}

/// Indices to the colours of the palette: all reds, then all greens, then all blues, 16 bits each.
fn coloured(raw: Raw, palette: &[u16], bits: u8) -> Result<Raw, Failure> {
    let size = 1usize << bits;
    let (Samples::U8(indices), 1) = (&raw.samples, raw.channels()) else {
        return Err(format!("palettes of {bits} bits are not supported").into());
    };
    if palette.len() != 3 * size {
        return Err(format!("expected a palette of {} values, found {}", 3 * size, palette.len()).into());
    }
    // Some programs write 8-bit colours into the 16-bit palette.
    let shift = if palette.iter().all(|&v| v < 256) { 0 } else { 8 };
    let pixel = |&index: &u8| [0, 1, 2].map(|c| (palette[c * size + usize::from(index)] >> shift) as u8);
    let samples = Samples::U8(indices.iter().flat_map(pixel).collect());
    Ok(Raw { colours: 3, samples, white: 255.0, ..raw })
}
