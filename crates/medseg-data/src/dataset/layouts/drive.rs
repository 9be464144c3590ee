//! DRIVE: `{training,test}/{images/NN_*.tif, 1st_manual/NN_manual1.gif, mask/NN_*_mask.gif}`; the older download has
//! `test/2nd_manual/NN_manual2.gif` too. The current download has no manual of the test images: they are left out.

use super::Found;
use crate::dataset::tree::{images, pair, parts, sample};
use crate::dataset::{Observer, OpenOptions};
use crate::error::Result;
use crate::names::{image_files, name_of};
use std::collections::BTreeMap;
use std::path::Path;

const MANUALS: [&str; 2] = ["1st_manual", "2nd_manual"];

/// `21_manual1.gif`: what no other set with folders of these names has.
fn is_manual(name: &str) -> bool {
    let stem = name.split('.').next().unwrap_or_default();
    let digits = stem.strip_suffix("_manual1").or(stem.strip_suffix("_manual2"));
    digits.is_some_and(|digits| !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit()))
}

pub(super) fn fits(root: &Path, _: &OpenOptions) -> bool {
    let manual = |folder: &Path| image_files(folder).iter().any(|path| is_manual(&name_of(path)));
    let has = |part: &Path| part.join("images").is_dir() && MANUALS.iter().any(|name| manual(&part.join(name)));
    parts(root).iter().any(|(_, part)| has(part))
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
    for (split, folder) in parts(root) {
        let manual = folder.join(MANUALS[usize::from(second)]);
        found.companions.extend([folder.join(MANUALS[usize::from(!second)]), folder.join("mask")]);
        if !folder.join("images").is_dir() || !manual.is_dir() {
            let name = name_of(&folder);
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
