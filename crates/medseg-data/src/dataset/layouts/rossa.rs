//! ROSSA: `{train_manual,val,test}/{image,label}/<id>.png`. `train_sam`, whose labels a model made, is not read.

use super::Found;
use crate::dataset::OpenOptions;
use crate::dataset::tree::{images, pair, sample};
use crate::error::Result;
use crate::split::Split;
use std::path::{Path, PathBuf};

const PARTS: [(&str, Split); 3] = [("train_manual", Split::Train), ("val", Split::Val), ("test", Split::Test)];

pub(super) fn find(root: &Path) -> Option<PathBuf> {
    let has = |name: &str| root.join(name).join("image").is_dir() && root.join(name).join("label").is_dir();
    PARTS.iter().any(|(name, _)| has(name)).then(|| root.to_owned())
}

pub(super) fn open(root: &Path, _: &OpenOptions) -> Result<Found> {
    let mut found =
        Found { description: "ROSSA, manual labels".into(), expected_size: Some((320, 320)), ..Found::default() };
    if root.join("train_sam").is_dir() {
        found.notes.push("train_sam holds labels made by a model; left out".into());
    }
    for (name, split) in PARTS {
        let folder = root.join(name);
        if !folder.is_dir() {
            found.notes.push(format!("no folder {name}"));
            continue;
        }
        let files = images(&folder.join("image"), &mut found.problems)?;
        let masks = images(&folder.join("label"), &mut found.problems)?;
        let key = |stem: &str| Some(stem.to_owned());
        for (stem, image, mask) in pair(files, masks, key, key, &mut found.problems) {
            found.samples.push(sample(stem, Some(split), image, mask));
        }
    }
    Ok(found)
}
