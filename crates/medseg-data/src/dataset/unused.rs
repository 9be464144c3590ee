//! Image files of a data set that no sample came from: nothing is left out in silence.

use super::Sample;
use crate::check::{Problem, ProblemKind};
use crate::names::{image_files, name_of, sub_folders};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// How many levels below the set's folder are looked at.
const DEPTH: usize = 8;

/// A folder with image files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageFolder {
    /// The folder, relative to the one that was opened; `.` is that folder itself.
    pub folder: PathBuf,
    /// How many image files it holds, sub-folders not counted.
    pub files: usize,
}

impl std::fmt::Display for ImageFolder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let plural = if self.files == 1 { "" } else { "s" };
        write!(f, "{} ({} image file{plural})", self.folder.display(), self.files)
    }
}

/// The image files below `root`, by folder. Links are followed, each folder is entered once.
fn by_folder(root: &Path) -> BTreeMap<PathBuf, Vec<PathBuf>> {
    let mut found = BTreeMap::new();
    let mut entered = BTreeSet::new();
    let mut level = vec![root.to_owned()];
    for _ in 0..=DEPTH {
        level.retain(|folder| folder.canonicalize().is_ok_and(|real| entered.insert(real)));
        let mut below = Vec::new();
        for folder in level {
            below.extend(sub_folders(&folder));
            let files = image_files(&folder);
            if !files.is_empty() {
                found.insert(folder, files);
            }
        }
        level = below;
    }
    found
}

/// The folders with image files at or below `root`.
pub(crate) fn image_folders(root: &Path) -> Vec<ImageFolder> {
    let relative = |folder: &Path| match folder.strip_prefix(root) {
        Ok(inside) if !inside.as_os_str().is_empty() => inside.to_owned(),
        _ => PathBuf::from("."),
    };
    by_folder(root).iter().map(|(f, files)| ImageFolder { folder: relative(f), files: files.len() }).collect()
}

/// A warning for each folder below `root` that holds image files which are neither part of a sample nor one of the
/// `companions` (files, or folders with all they hold) that a choice has left aside.
pub(crate) fn unused(root: &Path, samples: &[Sample], companions: &[PathBuf]) -> Vec<Problem> {
    let used: BTreeSet<&Path> = samples
        .iter()
        .flat_map(|s| {
            s.image.paths().iter().map(PathBuf::as_path).chain([s.mask.path()]).chain(s.field_of_view.as_deref())
        })
        .collect();
    let aside = |path: &Path| companions.iter().any(|companion| path.starts_with(companion));
    let mut warnings = Vec::new();
    for (folder, files) in by_folder(root) {
        let left: Vec<&PathBuf> = files.iter().filter(|f| !used.contains(f.as_path()) && !aside(f)).collect();
        let Some(first) = left.first() else { continue };
        let message = match (left.len(), files.len()) {
            (1, _) => format!("no sample came from {}", name_of(first)),
            (n, all) if n == all => format!("no sample came from its {n} image files ({}, ...)", name_of(first)),
            (n, all) => format!("no sample came from {n} of its {all} image files ({}, ...)", name_of(first)),
        };
        warnings.push(Problem::warning(ProblemKind::Unused, &folder, message));
    }
    warnings
}
