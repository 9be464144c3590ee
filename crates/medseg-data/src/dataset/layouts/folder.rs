//! Images and masks paired by name: what users have.
//!
//! ```text
//! images/<name>.png  masks/<name>.png or masks/<name>_mask.png   [data_split.csv]   (the layout of the released SALT code)
//! {train,val,test}/{images,masks}/...
//! <name>.png  <name>_mask.png                                    [data_split.csv]
//! ```
//!
//! The split table has the columns `imgs,labels,split,fold` (of the first two only base names count) or `id,split,fold`; a
//! column `patient` is optional in both.

use super::Found;
use crate::check::{Problem, ProblemKind};
use crate::dataset::OpenOptions;
use crate::dataset::tree::{first_folder, images, pair, sample};
use crate::decode::read_limited;
use crate::error::{DataError, Result};
use crate::split::Split;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

const IMAGES: [&str; 5] = ["images", "image", "imgs", "img", "Images"];
const MASKS: [&str; 7] = ["masks", "mask", "labels", "label", "gt", "annotations", "Masks"];
const TABLES: [&str; 2] = ["data_split.csv", "split.csv"];
const PARTS: [(&str, Split); 7] = [
    ("train", Split::Train),
    ("training", Split::Train),
    ("val", Split::Val),
    ("valid", Split::Val),
    ("validation", Split::Val),
    ("test", Split::Test),
    ("testing", Split::Test),
];
const SUFFIX: &str = "_mask";

fn folders(root: &Path) -> Option<(PathBuf, PathBuf)> {
    Some((first_folder(root, &IMAGES)?, first_folder(root, &MASKS)?))
}

pub(super) fn find(root: &Path) -> Option<PathBuf> {
    let parts = PARTS.iter().any(|(name, _)| folders(&root.join(name)).is_some());
    let flat = || images(root, &mut Vec::new()).is_ok_and(|files| files.iter().any(|(stem, _)| stem.ends_with(SUFFIX)));
    (folders(root).is_some() || parts || flat()).then(|| root.to_owned())
}

pub(super) fn open(root: &Path, _: &OpenOptions) -> Result<Found> {
    let mut found = Found { description: "folder of images and masks".into(), ..Found::default() };
    if let Some((image_folder, mask_folder)) = folders(root) {
        read(&image_folder, &mask_folder, None, "", &mut found)?;
    } else if PARTS.iter().any(|(name, _)| folders(&root.join(name)).is_some()) {
        for (name, split) in PARTS {
            if let Some((image_folder, mask_folder)) = folders(&root.join(name)) {
                read(&image_folder, &mask_folder, Some(split), &format!("{split}_"), &mut found)?;
            }
        }
    } else {
        let (masks, files): (Vec<_>, Vec<_>) =
            images(root, &mut found.problems)?.into_iter().partition(|(stem, _)| stem.ends_with(SUFFIX));
        add(files, masks, None, "", &mut found);
    }
    let tables: Vec<PathBuf> = TABLES.iter().map(|name| root.join(name)).filter(|p| p.is_file()).collect();
    if let [first, second] = tables.as_slice() {
        found.problems.push(Problem::new(ProblemKind::Ambiguous, second, format!("{} is there too", first.display())));
    } else if let Some(table) = tables.first() {
        apply_table(table, &mut found)?;
    }
    Ok(found)
}

fn read(image_folder: &Path, mask_folder: &Path, split: Option<Split>, prefix: &str, found: &mut Found) -> Result<()> {
    let files = images(image_folder, &mut found.problems)?;
    let masks = images(mask_folder, &mut found.problems)?;
    add(files, masks, split, prefix, found);
    Ok(())
}

fn add(
    files: Vec<(String, PathBuf)>,
    masks: Vec<(String, PathBuf)>,
    split: Option<Split>,
    prefix: &str,
    found: &mut Found,
) {
    let image_key = |stem: &str| Some(stem.to_owned());
    let mask_key = |stem: &str| Some(stem.strip_suffix(SUFFIX).unwrap_or(stem).to_owned());
    for (stem, image, mask) in pair(files, masks, image_key, mask_key, &mut found.problems) {
        found.samples.push(sample(format!("{prefix}{stem}"), split, image, mask));
    }
}

/// The last component of a path written on any system, without its extension.
fn base_stem(text: &str) -> &str {
    let name = text.rsplit(['/', '\\']).next().unwrap_or(text);
    name.rsplit_once('.').map_or(name, |(stem, _)| stem)
}

fn apply_table(path: &Path, found: &mut Found) -> Result<()> {
    let fail = |reason: String| DataError::Split { path: path.to_owned(), reason };
    let bytes = read_limited(path, 64 << 20)?;
    let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::All).from_reader(bytes.as_slice());
    let header = reader.headers().map_err(|e| fail(e.to_string()))?.clone();
    let column = |name: &str| header.iter().position(|c| c == name);
    let names = column("imgs").map(|c| (c, true)).or(column("id").map(|c| (c, false)));
    let (Some((name_column, paths)), Some(split_column)) = (names, column("split")) else {
        let found = header.iter().collect::<Vec<_>>().join(",");
        return Err(fail(format!("expected the columns imgs,labels,split,fold or id,split,fold, found {found}")));
    };
    let patient_column = column("patient");
    let mut rows: BTreeMap<String, (Split, Option<String>)> = BTreeMap::new();
    for (number, record) in reader.records().enumerate() {
        let record = record.map_err(|e| fail(e.to_string()))?;
        let text = record.get(name_column).unwrap_or_default();
        let id = if paths { base_stem(text) } else { text };
        let split: Split = record
            .get(split_column)
            .unwrap_or_default()
            .parse()
            .map_err(|reason| fail(format!("row {}: {reason}", number + 1)))?;
        let patient = patient_column.and_then(|c| record.get(c)).filter(|p| !p.is_empty()).map(str::to_owned);
        if rows.insert(id.to_owned(), (split, patient)).is_some() {
            return Err(fail(format!("row {}: {id:?} stands twice", number + 1)));
        }
    }
    for sample in &mut found.samples {
        if let Some((split, patient)) = rows.remove(&sample.id) {
            sample.split = Some(split);
            sample.patient = patient;
        }
    }
    let without = found.samples.iter().filter(|s| s.split.is_none()).count();
    if without > 0 {
        found.notes.push(format!("{without} samples are not in {} and belong to no split", path.display()));
    }
    for (id, _) in rows {
        found.problems.push(Problem::new(ProblemKind::MissingImage, path, format!("names {id:?}, which is not here")));
    }
    Ok(())
}
