//! What no sample came from, image files and places that cannot be looked into: nothing is left out in silence.

use super::Sample;
use crate::check::{Problem, ProblemKind};
use crate::decode::{FileKind, not_read};
use crate::names::{entries, name_of};
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

/// What is below a folder.
#[derive(Default)]
struct Below {
    /// Image files by folder.
    images: BTreeMap<PathBuf, Vec<PathBuf>>,
    /// Images in formats that are not read, by format and folder.
    unread: BTreeMap<(&'static str, PathBuf), Vec<PathBuf>>,
    /// Folders that cannot be listed, and links that lead nowhere.
    closed: Vec<(PathBuf, std::io::Error)>,
}

/// What is below `root`. Links are followed, each folder is entered once.
fn below(root: &Path) -> Below {
    let mut found = Below::default();
    let mut entered = BTreeSet::new();
    let mut level = vec![root.to_owned()];
    for _ in 0..=DEPTH {
        level.retain(|folder| folder.canonicalize().is_ok_and(|real| entered.insert(real)));
        let mut next = Vec::new();
        for folder in level {
            let inside = entries(&folder).unwrap_or_else(|error| {
                found.closed.push((folder.clone(), error));
                Vec::new()
            });
            let (folders, files): (Vec<_>, Vec<_>) = inside.into_iter().partition(|path| path.is_dir());
            let mut images = Vec::new();
            for path in files {
                match FileKind::of(&path) {
                    FileKind::Image => images.push(path),
                    FileKind::UnreadImage(format) => {
                        found.unread.entry((format, folder.clone())).or_default().push(path);
                    }
                    FileKind::Other => found.closed.extend(std::fs::metadata(&path).err().map(|error| (path, error))),
                }
            }
            next.extend(folders);
            if !images.is_empty() {
                found.images.insert(folder, images);
            }
        }
        level = next;
    }
    found
}

fn relative(folder: &Path, root: &Path) -> PathBuf {
    match folder.strip_prefix(root) {
        Ok(inside) if !inside.as_os_str().is_empty() => inside.to_owned(),
        _ => PathBuf::from("."),
    }
}

/// The folders with image files at or below `root`.
pub(crate) fn image_folders(root: &Path) -> Vec<ImageFolder> {
    below(root).images.iter().map(|(f, files)| ImageFolder { folder: relative(f, root), files: files.len() }).collect()
}

/// The images at or below `root` in formats that are not read, in words; `None` where there are none.
pub(crate) fn unread_images(root: &Path) -> Option<String> {
    let unread = below(root).unread;
    let place = |((format, folder), files): (&(&str, PathBuf), &Vec<PathBuf>)| {
        format!("{} holds {}: {}", relative(folder, root).display(), counted(files), not_read(format))
    };
    (!unread.is_empty()).then(|| unread.iter().map(place).collect::<Vec<_>>().join("; "))
}

/// How many files these are, and the first of them.
fn counted(files: &[PathBuf]) -> String {
    match files {
        [only] => name_of(only),
        [first, ..] => format!("{} image files ({}, ...)", files.len(), name_of(first)),
        [] => String::new(),
    }
}

/// A warning for each folder below `root` that holds images in a format that is not read, or image files which are neither part of a sample nor one of the
/// `companions` (files, or folders with all they hold) that a choice has left aside, and one for each place below it that cannot
/// be looked into.
pub(crate) fn unused(root: &Path, samples: &[Sample], companions: &[PathBuf]) -> Vec<Problem> {
    let used: BTreeSet<&Path> = samples
        .iter()
        .flat_map(|s| {
            s.image.paths().iter().map(PathBuf::as_path).chain([s.mask.path()]).chain(s.field_of_view.as_deref())
        })
        .collect();
    let aside = |path: &Path| companions.iter().any(|companion| path.starts_with(companion));
    let Below { images, unread, closed } = below(root);
    let problem = |(path, error): (PathBuf, std::io::Error)| {
        Problem::warning(ProblemKind::Unreadable, &path, format!("cannot be looked into: {error}"))
    };
    let mut warnings: Vec<Problem> = closed.into_iter().filter(|(path, _)| !aside(path)).map(problem).collect();
    for (folder, files) in images {
        let left: Vec<&PathBuf> = files.iter().filter(|f| !used.contains(f.as_path()) && !aside(f)).collect();
        let Some(first) = left.first() else { continue };
        let message = match (left.len(), files.len()) {
            (1, _) => format!("no sample came from {}", name_of(first)),
            (n, all) if n == all => format!("no sample came from its {n} image files ({}, ...)", name_of(first)),
            (n, all) => format!("no sample came from {n} of its {all} image files ({}, ...)", name_of(first)),
        };
        warnings.push(Problem::warning(ProblemKind::Unused, &folder, message));
    }
    for ((format, folder), files) in unread {
        let files: Vec<PathBuf> = files.into_iter().filter(|file| !aside(file)).collect();
        if !files.is_empty() {
            let message = format!("no sample came from {}: {}", counted(&files), not_read(format));
            warnings.push(Problem::warning(ProblemKind::Unused, &folder, message));
        }
    }
    warnings
}
