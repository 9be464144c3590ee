//! Names of files and folders: what is an image, and what a folder holds. What is passed over and which names are the same is
//! the rule of [`medseg_metrics::folders::names`].

use crate::decode::FileKind;
use medseg_metrics::folders::names::{self, is_system_file};
use std::path::{Path, PathBuf};

/// A name in Unicode's composed form (NFC): names that look the same are the same.
pub(crate) fn composed(name: &str) -> String {
    names::composed(name).into_owned()
}

/// The name of a file or folder in composed form; characters that are not Unicode become the replacement character.
pub(crate) fn name_of(path: &Path) -> String {
    path.file_name().map(|name| composed(&name.to_string_lossy())).unwrap_or_default()
}

/// Whether the extension is one of an image format that is read.
pub(crate) fn is_image(path: &Path) -> bool {
    FileKind::of(path) == FileKind::Image
}

/// The name without the extension of an image file; `None` where it has no such extension.
pub(crate) fn without_extension(name: &str) -> Option<&str> {
    (FileKind::of(name) == FileKind::Image).then_some(name.rsplit_once('.')?.0)
}

/// What a folder holds, by path, without what is passed over.
///
/// # Errors
/// The folder cannot be listed.
pub(crate) fn entries(folder: &Path) -> std::io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if !is_system_file(name_of(&path)) {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

/// The folders directly in a folder; none where it cannot be listed.
pub(crate) fn sub_folders(folder: &Path) -> Vec<PathBuf> {
    entries(folder).unwrap_or_default().into_iter().filter(|path| path.is_dir()).collect()
}

/// The image files directly in a folder; none where it cannot be listed. A link without a target is one: reading it will say so.
pub(crate) fn image_files(folder: &Path) -> Vec<PathBuf> {
    entries(folder).unwrap_or_default().into_iter().filter(|path| is_image(path) && !path.is_dir()).collect()
}

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_extension_of_an_image_is_left_out() {
        for (name, stem) in [
            ("a.png", Some("a")),
            ("a.b.TIFF", Some("a.b")),
            ("img_1.5", None),
            ("a", None),
            (".png", None),
            ("a.json", None),
        ] {
            assert_eq!(without_extension(name), stem, "{name}");
        }
    }
}
