//! From the samples of a file to 8 bits, and what is lost on the way.

use super::raw::{Decoded, Raw, Samples, each_depth, number, over_black};
use super::{ExifOrientation, ImageOptions, IntensityRange, Pages};
use crate::raster::Image;
use image::metadata::Orientation;

/// Something that a file holds and the reading of it leaves out.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Loss {
    /// Of many grey levels few are left, because the image uses a small part of its format's range.
    GreyLevels {
        /// Different values in the file.
        of: usize,
        /// Different values after reading.
        left: usize,
        /// Smallest and largest value in the file.
        range: [f64; 2],
    },
    /// Every pixel has the same value.
    Blank {
        /// That value, of 0 to 255.
        value: u8,
    },
    /// There are more pages or frames than were read.
    Pages {
        /// Pages in the file.
        count: usize,
    },
    /// A camera's orientation was ignored: viewers show the image turned or mirrored.
    Orientation {
        /// The value of the EXIF tag, 2 to 8.
        value: u8,
    },
    /// Pixels that are not fully opaque were laid over black.
    Transparency {
        /// Their share, 0 to 1.
        share: f64,
    },
    /// The image has a colour profile other than sRGB, and its values were taken as they are.
    ColourProfile {
        /// The profile's name.
        name: String,
    },
}

impl std::fmt::Display for Loss {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::GreyLevels { of, left, range: [low, high] } => write!(
                f,
                "{left} grey levels are left of {of}: the image uses the values {low} to {high} of a larger range \
                 (--range own, or range = \"own\" under [data.options], spreads an image's own range)"
            ),
            Self::Blank { value } => write!(f, "every pixel is {value}"),
            Self::Pages { count } => write!(
                f,
                "the first of {count} pages was read (--pages N or minimum, pages = N or \"minimum\" under [data.options])"
            ),
            Self::Orientation { value } => write!(
                f,
                "EXIF orientation {value} was ignored, viewers show the image otherwise (--orientation apply, or \
                 orientation = \"apply\" under [data.options], if the masks were drawn in a viewer)"
            ),
            Self::Transparency { share } => {
                write!(f, "{:.2} % of the pixels are not opaque and were laid over black", share * 100.0)
            }
            Self::ColourProfile { name } => {
                write!(f, "the colour profile {name:?} was not applied; values are read as they are stored")
            }
        }
    }
}

/// Fewer levels than this are worth a word if the file held at least twice as many.
const FEW_LEVELS: usize = 128;

/// Turns, scales and flattens a decoded file.
pub(super) fn reduce(decoded: Decoded, options: &ImageOptions) -> Result<Image, String> {
    let Decoded { mut raw, orientation, .. } = decoded;
    if options.orientation == ExifOrientation::Apply {
        raw.turn(orientation);
    }
    let (low, high) = limits(&raw, options.range)?;
    let Raw { width, height, colours, alpha, samples, white, .. } = raw;
    let bytes = match samples {
        Samples::U8(values) if options.range == IntensityRange::Full && white == 255.0 => values,
        samples => each_depth!(&samples, values => to_bytes(values, colours, alpha, (low, high), white)),
    };
    Ok(over_black(width, height, colours, alpha, bytes))
}

/// The values that become 0 and 255.
fn limits(raw: &Raw, range: IntensityRange) -> Result<(f64, f64), String> {
    let [low, high] = match range {
        IntensityRange::Full if matches!(raw.samples, Samples::U8(_) | Samples::U16(_)) => return Ok((0.0, raw.white)),
        _ => ends(raw, &range)?,
    };
    if range == IntensityRange::Full {
        if low < 0.0 || high > raw.white || matches!(raw.samples, Samples::I32(_) | Samples::U32(_)) {
            return Err(format!(
                "the values {low} to {high} have no agreed black and white; expected 8 or 16 bits, or 0.0 to 1.0 (--range own, \
                 or range = \"own\" under [data.options], takes the image's own)"
            ));
        }
        return Ok((0.0, raw.white));
    }
    Ok((low, high))
}

/// The values at the two ends of a range, colours together, alpha apart.
fn ends(raw: &Raw, range: &IntensityRange) -> Result<[f64; 2], String> {
    let mut values = colour_values(raw);
    if values.iter().any(|value| !value.is_finite()) {
        return Err("expected numbers, found a value that is not finite".into());
    }
    let percents = if let IntensityRange::Percentiles(percents) = range { *percents } else { [0.0, 100.0] };
    let last = (values.len() - 1) as f64;
    Ok(percents.map(|percent| {
        let at = (percent / 100.0 * last).round() as usize;
        *values.select_nth_unstable_by(at, f64::total_cmp).1
    }))
}

fn colour_values(raw: &Raw) -> Vec<f64> {
    let (colours, channels) = (raw.colours, raw.channels());
    each_depth!(&raw.samples, values => {
        values.chunks_exact(channels).flat_map(|pixel| pixel[..colours].iter().map(|&v| number(v))).collect()
    })
}

fn to_bytes<T: Copy + Into<f64>>(
    values: &[T],
    colours: usize,
    alpha: bool,
    (low, high): (f64, f64),
    white: f64,
) -> Vec<u8> {
    // Without any contrast everything is black, as everywhere.
    let scale = if high > low { 255.0 / (high - low) } else { 0.0 };
    let byte = |value: f64| (value.clamp(0.0, 255.0) + 0.5) as u8;
    let channels = colours + usize::from(alpha);
    let one = |(at, &value): (usize, &T)| match at % channels {
        c if c < colours => byte((value.into() - low) * scale),
        _ => byte(value.into() * 255.0 / white),
    };
    values.iter().enumerate().map(one).collect()
}

/// What the reading of a decoded file with these options leaves out.
pub(super) fn losses(decoded: &Decoded, options: &ImageOptions, read: &Image) -> Vec<Loss> {
    let mut found = Vec::new();
    let raw = &decoded.raw;
    if let Some(&value) = read.data().first()
        && read.data().iter().all(|&v| v == value)
    {
        found.push(Loss::Blank { value });
    }
    if !matches!(raw.samples, Samples::U8(_)) {
        let mut values = colour_values(raw);
        values.sort_unstable_by(f64::total_cmp);
        values.dedup();
        let mut seen = [false; 256];
        read.data().iter().for_each(|&v| seen[usize::from(v)] = true);
        let left = seen.iter().filter(|&&seen| seen).count();
        if left <= FEW_LEVELS && values.len() >= 2 * left {
            found.push(Loss::GreyLevels { of: values.len(), left, range: [values[0], values[values.len() - 1]] });
        }
    }
    found.extend(file_losses(decoded, options));
    if raw.alpha {
        let channels = raw.channels();
        let count = each_depth!(&raw.samples, values => {
            values.chunks_exact(channels).filter(|pixel| number(pixel[channels - 1]) < raw.white).count()
        });
        if count > 0 {
            found.push(Loss::Transparency { share: count as f64 / (raw.width * raw.height) as f64 });
        }
    }
    let profile = decoded.profile.as_deref().and_then(profile_name);
    found.extend(profile.map(|name| Loss::ColourProfile { name }));
    found
}

/// The losses that concern a mask as well.
pub(super) fn file_losses(decoded: &Decoded, options: &ImageOptions) -> Vec<Loss> {
    let mut found = Vec::new();
    if decoded.pages > 1 && options.pages == Pages::First {
        found.push(Loss::Pages { count: decoded.pages });
    }
    if decoded.orientation != Orientation::NoTransforms && options.orientation == ExifOrientation::Ignore {
        found.push(Loss::Orientation { value: decoded.orientation.to_exif() });
    }
    found
}

/// The name of an ICC profile whose values differ from those of sRGB enough to matter.
fn profile_name(profile: &[u8]) -> Option<String> {
    let number =
        |at: usize| -> Option<usize> { Some(u32::from_be_bytes(profile.get(at..at + 4)?.try_into().ok()?) as usize) };
    // The tags' table begins behind the header of 128 bytes: signature, offset, length.
    let tags = 0..number(128)?.min(1000);
    let description = tags.map(|tag| 132 + 12 * tag).find(|&at| profile.get(at..at + 4) == Some(b"desc"))?;
    let (offset, length) = (number(description + 4)?, number(description + 8)?);
    let text = profile.get(offset..offset.checked_add(length)?)?;
    let printable = |bytes: &mut dyn Iterator<Item = u8>| -> String {
        bytes.filter(|byte| (0x20..0x7f).contains(byte)).map(char::from).collect()
    };
    let name = match text.get(..4)? {
        // Version 2: a counted text; version 4: texts of several languages in UTF-16.
        b"desc" => printable(&mut text.get(12..)?.iter().copied().take_while(|&byte| byte != 0)),
        b"mluc" => {
            let field = |at: usize| Some(u32::from_be_bytes(text.get(at..at + 4)?.try_into().ok()?) as usize);
            let (length, start) = (field(20)?, field(24)?);
            printable(&mut text.get(start..start.checked_add(length)?)?.iter().copied())
        }
        _ => return None,
    };
    let known = ["srgb", "sgray", "gray gamma 2.2", "grey gamma 2.2"];
    let lower = name.to_ascii_lowercase();
    (!name.is_empty() && !known.iter().any(|same| lower.contains(same))).then_some(name)
}
