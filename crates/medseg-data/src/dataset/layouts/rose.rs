//! ROSE-1 (`{SVC,DVC,SVC_DVC}/{train,test}/{img,gt,thick_gt,thin_gt}`) and ROSE-2 (`{train,test}/{original,gt}`).

use super::Found;
use crate::dataset::tree::{pair_by_stem, parts, sample};
use crate::dataset::{GroundTruth, OpenOptions, Plexus};
use crate::decode::MaskRule;
use crate::error::{DataError, Result};
use crate::split::Split;
use std::path::Path;

const PUBLISHED: [Split; 2] = [Split::Train, Split::Test];
const PLEXUSES: [Plexus; 3] = [Plexus::Svc, Plexus::Dvc, Plexus::SvcDvc];

fn is_plexus(folder: &Path) -> bool {
    parts(folder).iter().any(|(_, part)| part.join("img").is_dir())
}

pub(super) fn fits_rose1(root: &Path, _: &OpenOptions) -> bool {
    let holds = PLEXUSES.iter().any(|p| is_plexus(&root.join(p.folder())));
    let is_one = PLEXUSES.iter().any(|p| root.ends_with(p.folder())) && is_plexus(root);
    holds || is_one
}

pub(super) fn open_rose1(root: &Path, options: &OpenOptions) -> Result<Found> {
    let given = PLEXUSES.into_iter().find(|p| root.ends_with(p.folder()) && is_plexus(root));
    let base = if given.is_some() { root.parent().unwrap_or(root) } else { root };
    let present: Vec<Plexus> = PLEXUSES.into_iter().filter(|p| is_plexus(&base.join(p.folder()))).collect();
    let plexus = options.rose_plexus.or(given).or(present.first().copied()).unwrap_or_default();
    let folder = base.join(plexus.folder());
    if !is_plexus(&folder) {
        return Err(DataError::config("rose-plexus", "a plexus that is on disk", plexus.folder()));
    }
    let kind = options.rose_ground_truth.folder();
    let mut found = Found {
        description: format!("ROSE-1, plexus {}, ground truth {kind}", plexus.folder()),
        expected_size: Some((304, 304)),
        ..Found::default()
    };
    if options.rose_plexus.is_none() && given.is_none() && present.len() > 1 {
        found.notes.push(format!("several plexuses are here; took {}", plexus.folder()));
    }
    read(&folder, "img", kind, &mut found)?;
    found.companions.extend(PLEXUSES.iter().filter(|&&p| p != plexus).map(|p| base.join(p.folder())));
    for (_, part) in parts(&folder) {
        let others = [GroundTruth::Whole, GroundTruth::Thick, GroundTruth::Thin].map(GroundTruth::folder);
        found.companions.extend(others.into_iter().filter(|&other| other != kind).map(|other| part.join(other)));
    }
    Ok(found)
}

pub(super) fn fits_rose2(root: &Path, _: &OpenOptions) -> bool {
    parts(root).iter().any(|(_, part)| part.join("original").is_dir() && part.join("gt").is_dir())
}

pub(super) fn open_rose2(root: &Path, _: &OpenOptions) -> Result<Found> {
    let mut found = Found { description: "ROSE-2".into(), expected_size: Some((840, 840)), ..Found::default() };
    read(root, "original", "gt", &mut found)?;
    Ok(found)
}

/// Reads all parts, also such as the publisher does not have. Every image is of another subject in ROSE-1; ROSE-2 does not
/// tell.
fn read(root: &Path, image_folder: &str, mask_folder: &str, found: &mut Found) -> Result<()> {
    let parts = parts(root);
    for split in PUBLISHED {
        if !parts.iter().any(|(own, _)| *own == split) {
            found.notes.push(format!("no folder {split}"));
        }
    }
    for (split, folder) in parts {
        let pairs = pair_by_stem(&folder.join(image_folder), &folder.join(mask_folder), &mut found.problems)?;
        for (stem, image, mask) in pairs {
            let id = format!("{split}_{stem}");
            let mut sample = sample(id.clone(), Some(split), image, mask);
            // The publisher's own loader cuts the grey ground truth here.
            sample.reading.published_masks = MaskRule::Threshold(128.0);
            sample.patient = (image_folder == "img").then_some(id);
            found.samples.push(sample);
        }
    }
    Ok(())
}
