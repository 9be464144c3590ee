//! ROSSA: `{train_manual,val,test}/{image,label}/<id>.png`. `train_sam`, whose labels a model made, is not read. Its training
//! folders are what is particular to it: `{train,val,test}/{image,label}` is a layout that anyone may use.

use super::Found;
use crate::dataset::OpenOptions;
use crate::dataset::tree::{pair_by_stem, sample};
use crate::error::Result;
use crate::split::Split;
use std::path::Path;

const PARTS: [(&str, Split); 3] = [("train_manual", Split::Train), ("val", Split::Val), ("test", Split::Test)];
const MADE_BY_A_MODEL: &str = "train_sam";

pub(super) fn fits(root: &Path, _: &OpenOptions) -> bool {
    let has = |name: &str| root.join(name).join("image").is_dir() && root.join(name).join("label").is_dir();
    has("train_manual") || has(MADE_BY_A_MODEL)
}

pub(super) fn open(root: &Path, _: &OpenOptions) -> Result<Found> {
    let mut found =
        Found { description: "ROSSA, manual labels".into(), expected_size: Some((320, 320)), ..Found::default() };
    if root.join(MADE_BY_A_MODEL).is_dir() {
        found.notes.push(format!("{MADE_BY_A_MODEL} holds labels made by a model; left out"));
        found.companions.push(root.join(MADE_BY_A_MODEL));
    }
    for (name, split) in PARTS {
        let folder = root.join(name);
        if !folder.is_dir() {
            found.notes.push(format!("no folder {name}"));
            continue;
        }
        for (stem, image, mask) in pair_by_stem(&folder.join("image"), &folder.join("label"), &mut found.problems)? {
            found.samples.push(sample(stem, Some(split), image, mask));
        }
    }
    Ok(found)
}
