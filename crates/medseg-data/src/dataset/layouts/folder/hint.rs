//! What to say about a folder that is no data set as it is.

use super::words::{IMAGES, MASKS, plain};
use crate::dataset::OpenOptions;
use crate::dataset::unused::image_folders;
use crate::names::{composed, name_of};
use crate::split::Split;
use std::collections::BTreeSet;
use std::path::{Component, Path, PathBuf};

/// How the folders that hold image files could be named as those of images and of masks; `None` where there are none.
pub(crate) fn hint(root: &Path, options: &OpenOptions) -> Option<String> {
    let is_part = |part: &Component<'_>| part.as_os_str().to_string_lossy().parse::<Split>().is_ok();
    let without_parts = |folder: &Path| folder.components().filter(|part| !is_part(part)).collect::<PathBuf>();
    let folders: BTreeSet<String> =
        image_folders(root).iter().map(|f| composed(&without_parts(&f.folder).to_string_lossy())).collect();
    let folders: Vec<String> = folders.into_iter().filter(|name| !name.is_empty() && name != ".").collect();
    if folders.is_empty() {
        return None;
    }
    let is_here = |name: &String| folders.contains(&composed(name));
    let known = |given: &Option<String>, words: &[&str]| {
        let has_word = |name: &&String| words.contains(&plain(&name_of(Path::new(name))).as_str());
        given.clone().filter(|name| is_here(name)).or_else(|| folders.iter().find(has_word).cloned())
    };
    let beside = |known: &Option<String>| match folders.as_slice() {
        [a, b] if known.as_ref() == Some(a) => Some(b.clone()),
        [a, b] if known.as_ref() == Some(b) => Some(a.clone()),
        _ => None,
    };
    let (images, masks) = (known(&options.images, &IMAGES), known(&options.masks, &MASKS));
    let wanted = |own: &Option<String>, other: &Option<String>| {
        own.clone().or_else(|| beside(other)).unwrap_or_else(|| "FOLDER".into())
    };
    let (images, masks) = (wanted(&images, &masks), wanted(&masks, &images));
    let given = [&options.images, &options.masks].into_iter().flatten();
    let missing =
        given.filter(|name| !is_here(name)).map(|name| format!("No folder {name} with image files is here. "));
    Some(format!(
        "{}If these are images and masks, name their folders: --images {images} --masks {masks}, or in a run file \
         [data.options] images = {images:?}, masks = {masks:?}",
        missing.collect::<String>()
    ))
}
