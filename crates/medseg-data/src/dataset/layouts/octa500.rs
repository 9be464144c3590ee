//! OCTA-500: `{OCTA_3M,OCTA_6M}/{ProjectionMaps/OCTA(ILM_OPL)/<id>.bmp, GT_LargeVessel/<id>.bmp}`; the official archive writes
//! `Projection Maps` with a blank. One eye a subject, so the id is the patient.

use super::Found;
use crate::dataset::tree::{pair_by_stem, sample};
use crate::dataset::{OctaField, OpenOptions};
use crate::error::{DataError, Result};
use crate::names::sub_folders;
use crate::split::Split;
use std::path::{Path, PathBuf};

const FIELDS: [OctaField; 2] = [OctaField::ThreeMillimetres, OctaField::SixMillimetres];

const MAPS: [&str; 2] = ["ProjectionMaps/OCTA(ILM_OPL)", "Projection Maps/OCTA(ILM_OPL)"];

fn maps(folder: &Path) -> Option<PathBuf> {
    MAPS.iter().map(|name| folder.join(name)).find(|path| path.is_dir())
}

pub(super) fn fits(root: &Path, _: &OpenOptions) -> bool {
    let has = |field: &OctaField| maps(&root.join(field.folder())).is_some();
    let is = |field: &OctaField| root.ends_with(field.folder()) && maps(root).is_some();
    FIELDS.iter().any(|f| has(f) || is(f))
}

/// The official parts by id; ids beyond belong to none.
fn split(id: u32) -> Option<Split> {
    match id {
        10301..=10440 | 10001..=10180 => Some(Split::Train),
        10441..=10450 | 10181..=10200 => Some(Split::Val),
        10451..=10500 | 10201..=10300 => Some(Split::Test),
        _ => None,
    }
}

pub(super) fn open(root: &Path, options: &OpenOptions) -> Result<Found> {
    let given = FIELDS.into_iter().find(|f| root.ends_with(f.folder()) && maps(root).is_some());
    let base = if given.is_some() { root.parent().unwrap_or(root) } else { root };
    let present: Vec<OctaField> = FIELDS.into_iter().filter(|f| maps(&base.join(f.folder())).is_some()).collect();
    let field = options.octa_field.or(given).or(present.first().copied()).unwrap_or_default();
    let folder = base.join(field.folder());
    let Some(maps) = maps(&folder) else {
        return Err(DataError::config("octa-field", "a field of view that is on disk", field.folder()));
    };
    let size = if field == OctaField::ThreeMillimetres { 304 } else { 400 };
    let mut found = Found {
        description: format!("OCTA-500, {}, projection from ILM to OPL, large vessels", field.folder()),
        expected_size: Some((size, size)),
        ..Found::default()
    };
    if options.octa_field.is_none() && given.is_none() && present.len() > 1 {
        found.notes.push(format!("both fields of view are here; took {}", field.folder()));
    }
    for (stem, image, mask) in pair_by_stem(&maps, &folder.join("GT_LargeVessel"), &mut found.problems)? {
        let mut sample = sample(stem.clone(), stem.parse().ok().and_then(split), image, mask);
        sample.patient = Some(stem);
        found.samples.push(sample);
    }
    let without = found.samples.iter().filter(|s| s.split.is_none()).count();
    if without > 0 {
        found.notes.push(format!(
            "{without} samples have ids that the publisher's parts do not name; they belong to no split"
        ));
    }
    // The other projections, layers and ground truths, and the other field of view.
    let chosen = [&maps, &folder.join("GT_LargeVessel")];
    let inside = sub_folders(&folder).into_iter().chain(maps.parent().map(sub_folders).unwrap_or_default());
    found.companions.extend(inside.filter(|other| !chosen.iter().any(|own| own.starts_with(other))));
    found.companions.extend(FIELDS.iter().filter(|&&f| f != field).map(|f| base.join(f.folder())));
    Ok(found)
}
