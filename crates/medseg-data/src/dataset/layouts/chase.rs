//! CHASE_DB1: `Image_<nn><L or R>.jpg` with `_1stHO.png` and `_2ndHO.png`. There is no official split; customarily the first 20
//! images (01L to 10R) train and the last 8 (11L to 14R) test, which also keeps a child's two eyes together.

use super::Found;
use crate::dataset::tree::{images, pair, sample};
use crate::dataset::{Observer, OpenOptions};
use crate::error::Result;
use crate::names::{image_files, name_of};
use crate::split::Split;
use std::path::Path;

/// `Image_01L` is child 01.
fn child(stem: &str) -> Option<u32> {
    stem.strip_prefix("Image_")?.strip_suffix(['L', 'R'])?.parse().ok()
}

pub(super) fn fits(root: &Path, _: &OpenOptions) -> bool {
    let is_manual =
        |name: String| name.strip_suffix("_1stHO.png").or(name.strip_suffix("_2ndHO.png")).and_then(child).is_some();
    image_files(root).iter().any(|path| is_manual(name_of(path)))
}

pub(super) fn open(root: &Path, options: &OpenOptions) -> Result<Found> {
    let (words, suffix, other) = match options.observer {
        Observer::First => ("first", "_1stHO", "_2ndHO"),
        Observer::Second => ("second", "_2ndHO", "_1stHO"),
    };
    let mut found = Found {
        description: format!("CHASE_DB1, {words} observer, customary split"),
        expected_size: Some((999, 960)),
        ..Found::default()
    };
    let files = images(root, &mut found.problems)?;
    let (masks, files): (Vec<_>, Vec<_>) = files.into_iter().partition(|(stem, _)| stem.ends_with("HO"));
    found.companions.extend(masks.iter().filter(|(stem, _)| stem.ends_with(other)).map(|(_, path)| path.clone()));
    let image_key = |stem: &str| child(stem).map(|_| stem.to_owned());
    let mask_key =
        |stem: &str| (!stem.ends_with(other)).then(|| stem.strip_suffix(suffix)).flatten().and_then(image_key);
    for (stem, image, mask) in pair(files, masks, image_key, mask_key, &mut found.problems) {
        let number = child(&stem).unwrap_or_default();
        let split = if number <= 10 { Split::Train } else { Split::Test };
        let mut sample = sample(stem, Some(split), image, mask);
        sample.patient = Some(format!("{number:02}"));
        found.samples.push(sample);
    }
    Ok(found)
}
