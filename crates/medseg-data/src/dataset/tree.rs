//! The files of a folder, its parts, and pairs of files by name.

use super::{ImageSource, MaskSource, Reading, Sample, annotations};
use crate::check::{Problem, ProblemKind};
use crate::error::{DataError, Result};
use crate::names::{composed, entries, is_image, name_of, natural, sub_folders, without_extension};
use crate::split::Split;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// The image files of a folder by stem (in composed form), in natural order.
pub(crate) fn images(folder: &Path, problems: &mut Vec<Problem>) -> Result<Vec<(String, PathBuf)>> {
    let mut found: BTreeMap<_, (String, PathBuf)> = BTreeMap::new();
    for path in entries(folder).map_err(DataError::io(folder))? {
        if !is_image(&path) || path.is_dir() {
            continue;
        }
        let Some(stem) = path.file_name().and_then(|name| name.to_str()).and_then(without_extension) else {
            problems.push(Problem::new(ProblemKind::Unreadable, &path, "the file name is not valid Unicode"));
            continue;
        };
        let stem = composed(stem);
        if let Some((_, other)) = found.get(&natural(&stem)) {
            let other = other.display();
            problems.push(Problem::new(ProblemKind::Ambiguous, &path, format!("has the same name as {other}")));
            continue;
        }
        found.insert(natural(&stem), (stem, path));
    }
    Ok(found.into_values().collect())
}

/// The sub-folders that are named after a part (`train`, `Validation`, `testing`, ...), training first.
pub(crate) fn parts(root: &Path) -> Vec<(Split, PathBuf)> {
    let named = |path: PathBuf| Some((name_of(&path).parse().ok()?, path));
    let mut found: Vec<(Split, PathBuf)> = sub_folders(root).into_iter().filter_map(named).collect();
    found.sort();
    found
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
            None => {
                let beside = annotations::beside(&path).map_or_else(String::new, |found| format!("; {found}"));
                let message = format!("no mask with a matching name{beside}");
                problems.push(Problem::new(ProblemKind::MissingMask, &path, message));
            }
        }
    }
    for path in by_key.into_values() {
        problems.push(Problem::new(ProblemKind::MissingImage, &path, "no image with a matching name"));
    }
    pairs
}

/// [`pair`] for files of the same stem.
pub(crate) fn pair_by_stem(
    image_folder: &Path,
    mask_folder: &Path,
    problems: &mut Vec<Problem>,
) -> Result<Vec<(String, PathBuf, PathBuf)>> {
    let files = images(image_folder, problems)?;
    let masks = images(mask_folder, problems)?;
    let key = |stem: &str| Some(stem.to_owned());
    Ok(pair(files, masks, key, key, problems))
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
