//! What the model says of one image, and the pictures of it.

use crate::error::CliError;
use crate::output_folder::{Origin, OutputFolder};
use crate::picture::png;
use image::{GrayImage, RgbImage};
use medseg_data::transform::Tiling;
use medseg_data::{Image, Mask};
use medseg_train::StopFlag;
use medseg_train::session::Session;
use sam_model::{MaskAnswer, paint_overlay, probability_level};
use std::path::Path;

/// One mask of an image. Logits are not kept: those of a large image would need four times the memory of its pixels.
pub(super) struct Answer {
    mask: Mask,
    /// Grey levels, `[height, width]`.
    probabilities: Vec<u8>,
}

impl From<MaskAnswer> for Answer {
    fn from(answer: MaskAnswer) -> Self {
        Self { probabilities: answer.logits.iter().map(|&logit| probability_level(logit)).collect(), mask: answer.mask }
    }
}

/// The masks of an image that is segmented tile by tile.
pub(super) fn of_tiles(
    session: &Session,
    image: &Image,
    tiling: Tiling,
    stop: &StopFlag,
) -> Result<Vec<Answer>, CliError> {
    let pixels = image.width() * image.height();
    let mut probabilities: Vec<Vec<u8>> = Vec::new();
    let masks = session.segment_tiles(image, tiling, stop, |label, rows| {
        if probabilities.len() == label {
            probabilities.push(Vec::with_capacity(pixels));
        }
        probabilities[label].extend(rows.logits.iter().map(|&logit| probability_level(logit)));
        Ok::<(), CliError>(())
    })?;
    let answer = |(mask, probabilities)| Answer { mask, probabilities };
    Ok(masks.into_iter().zip(probabilities).map(answer).collect())
}

/// The kinds of pictures of a mask.
const KINDS: [&str; 3] = ["probability", "overlay", "mask"];

fn name(stem: &str, label: &str, kind: &str) -> String {
    let part = if label.is_empty() { String::new() } else { format!("_{label}") };
    format!("{stem}{part}_{kind}.png")
}

/// The files of an image.
pub(super) fn names<'a>(stem: &'a str, labels: &'a [String]) -> impl Iterator<Item = String> {
    labels.iter().flat_map(move |label| KINDS.map(|kind| name(stem, label, kind)))
}

/// Writes the pictures of every mask, one at a time: large ones fill the memory.
pub(super) fn write(
    folder: &mut OutputFolder,
    (stem, path): (&str, &Path),
    labels: &[String],
    image: Image,
    answers: Vec<Answer>,
    origin: &Origin,
) -> Result<(), CliError> {
    let (width, height) = (image.width() as u32, image.height() as u32);
    let broken = || CliError::file(path, "pixels do not fill the image");
    let mut rgb = RgbImage::from_raw(width, height, image.into_rgb().into_data()).ok_or_else(broken)?;
    let last = answers.len();
    for (at, (label, Answer { mask, probabilities })) in labels.iter().zip(answers).enumerate() {
        let mut save = |kind: &str, content: &dyn Fn(&Path) -> Result<Vec<u8>, CliError>| {
            let name = name(stem, label, kind);
            folder.write(&name, &content(&folder.path(&name))?, origin).map(drop)
        };
        let picture = GrayImage::from_raw(width, height, probabilities).ok_or_else(broken)?;
        save("probability", &|path| png(&picture, path))?;
        drop(picture);
        let picture = paint_overlay(if at + 1 == last { std::mem::take(&mut rgb) } else { rgb.clone() }, &mask);
        save("overlay", &|path| png(&picture, path))?;
        drop(picture);
        let bytes = mask.to_bytes().into_iter().map(|bit| bit * 255).collect();
        let picture = GrayImage::from_raw(width, height, bytes).ok_or_else(broken)?;
        save("mask", &|path| png(&picture, path))?;
    }
    Ok(())
}
