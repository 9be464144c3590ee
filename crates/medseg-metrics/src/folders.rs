//! Two folders of masks, matched by file name. This module only looks at names; reading files is left to the caller.

pub mod names;

use names::{composed, is_system_file};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// Extensions of mask files, lower case.
pub const MASK_EXTENSIONS: [&str; 11] = ["png", "tif", "tiff", "gif", "bmp", "pgm", "pbm", "pnm", "ppm", "jpg", "jpeg"];

/// Those of photographs: beside another file of the same name, such a file is the image and not the mask.
const PHOTOGRAPHS: [&str; 2] = ["jpg", "jpeg"];

/// What a mask's name may carry beyond that of its partner, besides the suffixes asked for.
const COMPANIONS: [&str; 2] = ["_probability", "_overlay"];

/// A prediction and a reference of the same name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FilePair {
    /// The common name: file stem without suffix, in Unicode's composed form (NFC).
    pub name: String,
    /// File of the prediction.
    pub prediction: PathBuf,
    /// File of the reference.
    pub reference: PathBuf,
}

/// Why a file has no partner.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PairingProblem {
    /// No reference of that name.
    #[error("{}: no reference named {name:?}", path.display())]
    NoReference {
        /// The prediction.
        path: PathBuf,
        /// Its name without suffix.
        name: String,
    },
    /// No prediction of that name.
    #[error("{}: no prediction named {name:?}", path.display())]
    NoPrediction {
        /// The reference.
        path: PathBuf,
        /// Its name without suffix.
        name: String,
    },
    /// Two files of one folder have the same name.
    #[error("{} and {}: both are named {name:?} once extension and suffix are left out", first.display(), second.display())]
    SameName {
        /// One file.
        first: PathBuf,
        /// The other.
        second: PathBuf,
        /// The name of both.
        name: String,
    },
}

/// The pairs of two folders, and every file that is in none.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Pairing {
    /// Pairs, by name.
    pub pairs: Vec<FilePair>,
    /// Files that should have been in a pair.
    pub problems: Vec<PairingProblem>,
    /// Files that are no masks by their extension, [system files](is_system_file), and probability maps, overlays and photographs
    /// (JPEG) beside a mask of the same name.
    pub ignored: Vec<PathBuf>,
}

/// Matches the mask files of two folders by stem; the first of `suffixes` that a stem ends with is left out. Stems are
/// compared in Unicode's [composed] form.
///
/// Sub-folders are not entered. Probability maps and overlays (`NAME_probability`, `NAME_overlay`) are ignored where the same
/// folder has `NAME` followed by one of the suffixes.
///
/// # Errors
/// When a folder cannot be listed; the error names it.
pub fn pair_folders(predictions: &Path, references: &Path, suffixes: &[String]) -> std::io::Result<Pairing> {
    let mut pairing = Pairing::default();
    let mut predictions = masks_by_name(predictions, suffixes, &mut pairing)?;
    for (name, reference) in masks_by_name(references, suffixes, &mut pairing)? {
        match predictions.remove(&name) {
            Some(prediction) => pairing.pairs.push(FilePair { name, prediction, reference }),
            None => pairing.problems.push(PairingProblem::NoPrediction { path: reference, name }),
        }
    }
    let left = predictions.into_iter().map(|(name, path)| PairingProblem::NoReference { path, name });
    pairing.problems.extend(left);
    Ok(pairing)
}

fn masks_by_name(
    folder: &Path,
    suffixes: &[String],
    pairing: &mut Pairing,
) -> std::io::Result<BTreeMap<String, PathBuf>> {
    let named = |error: std::io::Error| std::io::Error::new(error.kind(), format!("{}: {error}", folder.display()));
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(named)? {
        let path = entry.map_err(named)?.path();
        if !path.is_dir() {
            files.push(path);
        }
    }
    files.sort();
    let suffixes: Vec<String> = suffixes.iter().map(|suffix| composed(suffix).into_owned()).collect();
    let (masks, others): (Vec<PathBuf>, Vec<PathBuf>) = files.into_iter().partition(|path| is_mask_file(path));
    pairing.ignored.extend(others);
    let stems: Vec<String> = masks.iter().map(|path| stem(path)).collect();
    let name_of = |stem: &str| {
        let without = suffixes.iter().filter(|s| !s.is_empty()).find_map(|s| stem.strip_suffix(s.as_str()));
        without.filter(|name| !name.is_empty()).unwrap_or(stem).to_owned()
    };
    let drawn = masks.iter().zip(&stems).filter(|(path, _)| !is_photograph(path)).map(|(_, stem)| name_of(stem));
    let drawn: BTreeSet<String> = drawn.collect();
    let mut named_masks: BTreeMap<String, PathBuf> = BTreeMap::new();
    for (path, stem) in masks.into_iter().zip(&stems) {
        let companion = COMPANIONS.iter().filter_map(|c| stem.strip_suffix(c)).any(|base| {
            suffixes.iter().any(|suffix| stems.iter().any(|s| s.strip_suffix(suffix.as_str()) == Some(base)))
        });
        let name = name_of(stem);
        if companion || (is_photograph(&path) && drawn.contains(&name)) {
            pairing.ignored.push(path);
            continue;
        }
        match named_masks.get(&name) {
            Some(first) => {
                let (first, second) = (first.clone(), path);
                pairing.problems.push(PairingProblem::SameName { first, second, name });
            }
            None => {
                named_masks.insert(name, path);
            }
        }
    }
    Ok(named_masks)
}

fn stem(path: &Path) -> String {
    path.file_stem().map(|stem| composed(&stem.to_string_lossy()).into_owned()).unwrap_or_default()
}

fn has_extension(path: &Path, extensions: &[&str]) -> bool {
    path.extension().is_some_and(|found| extensions.iter().any(|extension| found.eq_ignore_ascii_case(extension)))
}

fn is_mask_file(path: &Path) -> bool {
    !path.file_name().is_some_and(is_system_file) && has_extension(path, &MASK_EXTENSIONS)
}

fn is_photograph(path: &Path) -> bool {
    has_extension(path, &PHOTOGRAPHS)
}
