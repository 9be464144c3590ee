//! XRay-Angio (DCA1): `<k>.pgm` and `<k>_gt.pgm` in one folder, k = 1 to 134. The customary split: the first 100 train, the
//! last 34 test.

use super::Found;
use crate::dataset::OpenOptions;
use crate::dataset::tree::{images, pair, sample};
use crate::error::Result;
use crate::names::{image_files, name_of};
use crate::split::Split;
use std::path::Path;

fn number(stem: &str) -> Option<u32> {
    stem.parse().ok()
}

/// All its image files, and no others, are numbers in PGM: other files with `_gt` are a user's own.
pub(super) fn fits(root: &Path, _: &OpenOptions) -> bool {
    let names: Vec<String> = image_files(root).iter().map(|path| name_of(path)).collect();
    let stem =
        |name: &str| name.strip_suffix(".pgm").map(|stem| stem.strip_suffix("_gt").unwrap_or(stem)).and_then(number);
    names.iter().any(|name| name.ends_with("_gt.pgm")) && names.iter().all(|name| stem(name).is_some())
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
