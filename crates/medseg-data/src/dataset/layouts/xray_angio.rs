//! XRay-Angio (DCA1): `<k>.pgm` and `<k>_gt.pgm` in one folder, k = 1 to 134. The customary split: the first 100 train, the
//! last 34 test.

use super::Found;
use crate::dataset::OpenOptions;
use crate::dataset::tree::{images, pair, sample};
use crate::error::Result;
use crate::split::Split;
use std::path::{Path, PathBuf};

fn number(stem: &str) -> Option<u32> {
    stem.parse().ok()
}

pub(super) fn find(root: &Path) -> Option<PathBuf> {
    let name = |entry: std::io::Result<std::fs::DirEntry>| entry.ok()?.file_name().into_string().ok();
    let marks = |name: String| name.strip_suffix("_gt.pgm").and_then(number).is_some();
    std::fs::read_dir(root).ok()?.filter_map(name).any(marks).then(|| root.to_owned())
}

pub(super) fn open(root: &Path, _: &OpenOptions) -> Result<Found> {
    let mut found = Found {
        description: "XRay-Angio (DCA1), customary split".into(),
        expected_size: Some((300, 300)),
        ..Found::default()
    };
    let files = images(root, &mut found.problems)?;
    let (masks, files): (Vec<_>, Vec<_>) = files.into_iter().partition(|(stem, _)| stem.ends_with("_gt"));
    let image_key = |stem: &str| number(stem).map(|n| n.to_string());
    let mask_key = |stem: &str| image_key(stem.strip_suffix("_gt")?);
    for (stem, image, mask) in pair(files, masks, image_key, mask_key, &mut found.problems) {
        let split = if number(&stem).is_some_and(|n| n <= 100) { Split::Train } else { Split::Test };
        found.samples.push(sample(stem, Some(split), image, mask));
    }
    Ok(found)
}
