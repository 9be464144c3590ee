//! Listing folders and pairing files by name.

use super::{ImageSource, MaskSource, Reading, Sample};
use crate::check::{Problem, ProblemKind};
use crate::error::{DataError, Result};
use crate::split::Split;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

const EXTENSIONS: [&str; 11] = ["png", "jpg", "jpeg", "tif", "tiff", "gif", "bmp", "pgm", "ppm", "pbm", "pnm"];

/// Digits compare as numbers, so that `9` comes before `10`; equal keys fall back to the plain text.
pub(crate) fn natural(name: &str) -> (Vec<(bool, u128, String)>, String) {
    let mut key = Vec::new();
    let mut rest = name;
    while let Some(first) = rest.chars().next() {
        let digit = first.is_ascii_digit();
        let end = rest.find(|c: char| c.is_ascii_digit() != digit).unwrap_or(rest.len());
        let (run, tail) = rest.split_at(end);
        let number = if digit { run.parse().unwrap_or(u128::MAX) } else { 0 };
        key.push((!digit, number, if digit { String::new() } else { run.to_owned() }));
        rest = tail;
    }
    (key, name.to_owned())
}

/// The image files of a folder by stem, in natural order; hidden files and other types are passed over.
pub(crate) fn images(folder: &Path, problems: &mut Vec<Problem>) -> Result<Vec<(String, PathBuf)>> {
    let mut found: BTreeMap<_, (String, PathBuf)> = BTreeMap::new();
    for entry in std::fs::read_dir(folder).map_err(DataError::io(folder))? {
        let path = entry.map_err(DataError::io(folder))?.path();
        let extension = path.extension().and_then(|e| e.to_str()).unwrap_or_default().to_ascii_lowercase();
        if !EXTENSIONS.contains(&extension.as_str()) || !path.is_file() {
            continue;
        }
        let Some(stem) = path.file_stem().and_then(|s| s.to_str()) else {
            problems.push(Problem::new(ProblemKind::Unreadable, &path, "the file name is not valid Unicode"));
            continue;
        };
        if stem.starts_with('.') {
            continue;
        }
        let key = natural(stem);
        if let Some((_, other)) = found.get(&key) {
            let other = other.display();
            problems.push(Problem::new(ProblemKind::Ambiguous, &path, format!("has the same name as {other}")));
            continue;
        }
        let stem = stem.to_owned();
        found.insert(key, (stem, path));
    }
    Ok(found.into_values().collect())
}

/// Pairs images with masks: `mask_key` and `image_key` give the common name, `None` passes a file over.
pub(crate) fn pair(
    images: Vec<(String, PathBuf)>,
    masks: Vec<(String, PathBuf)>,
    image_key: impl Fn(&str) -> Option<String>,
    mask_key: impl Fn(&str) -> Option<String>,
    problems: &mut Vec<Problem>,
) -> Vec<(String, PathBuf, PathBuf)> {
    let mut by_key: BTreeMap<String, PathBuf> = BTreeMap::new();
    for (stem, path) in masks {
        let Some(key) = mask_key(&stem) else { continue };
        if let Some(other) = by_key.get(&key) {
            let other = other.display();
            problems.push(Problem::new(ProblemKind::Ambiguous, &path, format!("a second mask beside {other}")));
        } else {
            by_key.insert(key, path);
        }
    }
    let mut pairs = Vec::new();
    for (stem, path) in images {
        let Some(key) = image_key(&stem) else { continue };
        match by_key.remove(&key) {
            Some(mask) => pairs.push((stem, path, mask)),
            None => problems.push(Problem::new(ProblemKind::MissingMask, &path, "no mask with a matching name")),
        }
    }
    for path in by_key.into_values() {
        problems.push(Problem::new(ProblemKind::MissingImage, &path, "no image with a matching name"));
    }
    pairs
}

/// A sample of two files.
pub(crate) fn sample(id: String, split: Option<Split>, image: PathBuf, mask: PathBuf) -> Sample {
    Sample {
        id,
        patient: None,
        split,
        image: ImageSource::File(image),
        mask: MaskSource::File(mask),
        field_of_view: None,
        reading: Reading::default(),
    }
}

/// The first of several sub-folders that exists.
pub(crate) fn first_folder(root: &Path, names: &[&str]) -> Option<PathBuf> {
    names.iter().map(|name| root.join(name)).find(|path| path.is_dir())
}
