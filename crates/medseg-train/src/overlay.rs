//! Overlays: where a prediction is right, where it misses, where it invents.

use crate::data::Case;
use crate::error::Result;
use image::{DynamicImage, Rgb, RgbImage, imageops};
use medseg_data::decode::Limits;
use medseg_metrics::{Mask, MaskPair};

/// Found vessel.
pub const TRUE_POSITIVE: Rgb<u8> = Rgb([0, 190, 100]);
/// Invented vessel.
pub const FALSE_POSITIVE: Rgb<u8> = Rgb([235, 60, 50]);
/// Missed vessel.
pub const FALSE_NEGATIVE: Rgb<u8> = Rgb([60, 120, 255]);

/// Paints a prediction and its reference over the image: true positives green, false positives red, false negatives blue,
/// with the grey image shining through. Both masks are row-major, `width * height` of the image.
///
/// Returns nothing when a mask has another size than the image.
pub fn overlay(image: &DynamicImage, prediction: &[bool], reference: &[bool]) -> Option<RgbImage> {
    let grey = image.to_luma8();
    let pixels = grey.width() as usize * grey.height() as usize;
    if prediction.len() != pixels || reference.len() != pixels {
        return None;
    }
    let mut out = RgbImage::new(grey.width(), grey.height());
    for (index, (to, from)) in out.pixels_mut().zip(grey.pixels()).enumerate() {
        let paint = match (prediction[index], reference[index]) {
            (true, true) => Some(TRUE_POSITIVE),
            (true, false) => Some(FALSE_POSITIVE),
            (false, true) => Some(FALSE_NEGATIVE),
            (false, false) => None,
        };
        let base = from.0[0];
        *to = match paint {
            None => Rgb([base; 3]),
            Some(colour) => Rgb(colour.0.map(|channel| ((u16::from(channel) * 3 + u16::from(base)) / 4) as u8)),
        };
    }
    Some(out)
}

/// A case's image in grey with its prediction and reference painted over it ([`overlay`]); nothing where masks were compared on
/// another grid than the image's.
///
/// # Errors
/// The image cannot be read.
pub fn case_overlay(case: &Case, pair: &MaskPair) -> Result<Option<RgbImage>> {
    Ok(grey_image(case)?.and_then(|image| painted(&image, pair)))
}

/// A case's image beside its overlay, at most `side` px high; nothing as [`case_overlay`].
///
/// # Errors
/// The image cannot be read.
pub fn case_panel(case: &Case, pair: &MaskPair, side: u32) -> Result<Option<RgbImage>> {
    let image = grey_image(case)?;
    Ok(image.and_then(|image| Some(panel(&image, &painted(&image, pair)?, side))))
}

fn grey_image(case: &Case) -> Result<Option<DynamicImage>> {
    let loaded = case.sample.load_image(&Limits::default())?;
    let (width, height) = loaded.size();
    let grey = image::GrayImage::from_raw(width as u32, height as u32, loaded.to_grey().into_data());
    Ok(grey.map(DynamicImage::ImageLuma8))
}

fn painted(image: &DynamicImage, pair: &MaskPair) -> Option<RgbImage> {
    let bits = |mask: &Mask| mask.to_bytes().iter().map(|&byte| byte != 0).collect::<Vec<bool>>();
    overlay(image, &bits(&pair.prediction), &bits(&pair.reference))
}

/// The image beside its overlay, at most `side` px high, for a report.
pub fn panel(image: &DynamicImage, painted: &RgbImage, side: u32) -> RgbImage {
    let (width, height) = painted.dimensions();
    let factor = (f64::from(side) / f64::from(width.max(height))).min(2.0);
    let size = |length: u32| ((f64::from(length) * factor).round() as u32).max(1);
    let (width, height) = (size(width), size(height));
    let shrink = |picture: &RgbImage| imageops::resize(picture, width, height, imageops::FilterType::Triangle);
    let mut out = RgbImage::from_pixel(width * 2 + 4, height, Rgb([255; 3]));
    imageops::replace(&mut out, &shrink(&image.to_luma8().expand_to_rgb()), 0, 0);
    imageops::replace(&mut out, &shrink(painted), i64::from(width) + 4, 0);
    out
}

trait ExpandToRgb {
    fn expand_to_rgb(&self) -> RgbImage;
}

impl ExpandToRgb for image::GrayImage {
    fn expand_to_rgb(&self) -> RgbImage {
        DynamicImage::ImageLuma8(self.clone()).to_rgb8()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_of_pixel_has_its_colour() {
        let image = DynamicImage::ImageLuma8(image::GrayImage::from_pixel(4, 1, image::Luma([100])));
        let painted = overlay(&image, &[true, true, false, false], &[true, false, true, false]).unwrap();
        let mix = |colour: Rgb<u8>| colour.0.map(|c| ((u16::from(c) * 3 + 100) / 4) as u8);
        let found: Vec<[u8; 3]> = painted.pixels().map(|pixel| pixel.0).collect();
        assert_eq!(found, [mix(TRUE_POSITIVE), mix(FALSE_POSITIVE), mix(FALSE_NEGATIVE), [100; 3]]);
        assert_eq!(panel(&image, &painted, 8).dimensions(), (8 * 2 + 4, 2));
        assert!(overlay(&image, &[true; 3], &[true; 4]).is_none());
    }
}
