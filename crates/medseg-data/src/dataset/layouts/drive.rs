//! DRIVE: `{training,test}/{images/NN_*.tif, 1st_manual/NN_manual1.gif, mask/NN_*_mask.gif}`; the older download has
//! `test/2nd_manual/NN_manual2.gif` too. The current download has no manual of the test images: they are left out.

use super::Found;
use crate::dataset::tree::{images, pair, sample};
use crate::dataset::{Observer, OpenOptions};
use crate::error::Result;
use crate::split::Split;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

const PARTS: [(&str, Split); 2] = [("training", Split::Train), ("test", Split::Test)];

pub(super) fn find(root: &Path) -> Option<PathBuf> {
    let manual = |part: &Path| part.join("1st_manual").is_dir() || part.join("2nd_manual").is_dir();
    let has = |name: &str| root.join(name).join("images").is_dir() && manual(&root.join(name));
    PARTS.iter().any(|(name, _)| has(name)).then(|| root.to_owned())
}

/// `21_training`, `21_manual1` and `21_training_mask` belong to patient 21.
fn number(stem: &str) -> Option<String> {
    let digits: String = stem.chars().take_while(char::is_ascii_digit).collect();
    (!digits.is_empty()).then_some(digits)
}

pub(super) fn open(root: &Path, options: &OpenOptions) -> Result<Found> {
    let second = options.observer == Observer::Second;
    let mut found = Found {
        description: format!("DRIVE, {} observer", if second { "second" } else { "first" }),
        expected_size: Some((565, 584)),
        ..Found::default()
    };
    for (name, split) in PARTS {
        let folder = root.join(name);
        let manual = folder.join(if second { "2nd_manual" } else { "1st_manual" });
        if !folder.join("images").is_dir() || !manual.is_dir() {
            found.notes.push(format!("{name}: no images with this observer's manual; left out"));
            continue;
        }
        let files = images(&folder.join("images"), &mut found.problems)?;
        let masks = images(&manual, &mut found.problems)?;
        let mut views = BTreeMap::new();
        if folder.join("mask").is_dir() {
            let listed = images(&folder.join("mask"), &mut found.problems)?;
            views.extend(listed.into_iter().filter_map(|(stem, path)| Some((number(&stem)?, path))));
        }
        for (stem, image, mask) in pair(files, masks, number, number, &mut found.problems) {
            let patient = number(&stem);
            let mut sample = sample(stem, Some(split), image, mask);
            sample.field_of_view = patient.as_ref().and_then(|n| views.remove(n));
            sample.patient = patient;
            found.samples.push(sample);
        }
    }
    Ok(found)
}
