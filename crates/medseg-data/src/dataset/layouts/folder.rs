//! Images and masks paired by name: what users have.
//!
//! ```text
//! images/<name>.png  masks/<name>.png or masks/<name>_mask.png   [data_split.csv]   (the layout of the released SALT code)
//! {train,val,test}/{images,masks}/...   or   {images,masks}/{train,val,test}/...
//! <name>.png  <name>_mask.png                                    [data_split.csv]
//! ```
//!
//! Folders and parts go by their usual names, in capitals or not; other names are given as options. The split table has the
//! columns `imgs,labels,split,fold` (of the first two only base names count) or `id,split,fold`; a column `patient` is
//! optional in both.

use super::Found;
use crate::check::{Problem, ProblemKind};
use crate::dataset::OpenOptions;
use crate::dataset::assign::rows_by_id;
use crate::dataset::tree::{images, pair, parts, sample};
use crate::dataset::unused::image_folders;
use crate::decode::read_limited;
use crate::error::{DataError, Result};
use crate::names::{composed, image_files, name_of, sub_folders, without_extension};
use crate::split::{Split, read_records};
use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::path::{Component, Path, PathBuf};

/// Names of folders of images, and what the name of an image may carry beyond that of its mask; see [`plain`].
const IMAGES: [&str; 6] = ["image", "images", "img", "imgs", "original", "originals"];
/// The same of masks.
const MASKS: [&str; 18] = [
    "mask",
    "masks",
    "label",
    "labels",
    "gt",
    "gts",
    "annotation",
    "annotations",
    "groundtruth",
    "groundtruths",
    "seg",
    "segs",
    "segmentation",
    "segmentations",
    "segmask",
    "manual",
    "manual1",
    "1stmanual",
];
const TABLES: [&str; 2] = ["data_split.csv", "split.csv"];
const LARGEST_TABLE: u64 = 64 << 20;

/// A name as the lists above have it: `Ground_Truth` is `groundtruth`.
fn plain(name: &str) -> String {
    name.chars().filter(|c| !matches!(c, '_' | '-' | ' ')).flat_map(char::to_lowercase).collect()
}

/// A name without one of the words at its end or start, divided from it by `_`, `-` or a blank.
fn without_word<'a>(name: &'a str, words: &[&str]) -> Option<&'a str> {
    let divides = |c: char| matches!(c, '_' | '-' | ' ');
    let cuts = || name.match_indices(divides).map(|(at, divider)| (&name[..at], &name[at + divider.len()..]));
    let is_word = |text: &str| words.contains(&plain(text).as_str());
    let kept = cuts().find(|(_, end)| is_word(end)).map(|(kept, _)| kept);
    let kept = kept.or_else(|| cuts().filter(|(start, _)| is_word(start)).map(|(_, kept)| kept).next_back());
    kept.filter(|kept| !kept.is_empty())
}

/// The folders of images and those of masks directly below a folder.
struct Kinds {
    images: Vec<PathBuf>,
    masks: Vec<PathBuf>,
}

impl Kinds {
    fn below(root: &Path, options: &OpenOptions) -> Self {
        Self {
            images: folders(root, options.images.as_deref(), &IMAGES),
            masks: folders(root, options.masks.as_deref(), &MASKS),
        }
    }

    fn are_both_here(&self) -> bool {
        !self.images.is_empty() && !self.masks.is_empty()
    }

    /// The folder of images and the folder of masks, if there are both; a problem for each kind that has several.
    fn only(&self, problems: &mut Vec<Problem>) -> Option<(&Path, &Path)> {
        let (image, mask) = (self.images.first()?, self.masks.first()?);
        for (kind, folders) in [("images", &self.images), ("masks", &self.masks)] {
            if let [_, second, ..] = folders.as_slice() {
                let names = folders.iter().map(|f| name_of(f)).collect::<Vec<_>>().join(", ");
                let message = format!(
                    "several folders of {kind}: {names}; choose one with --{kind}, in a run file with {kind} = \"...\" in [data.options]"
                );
                problems.push(Problem::new(ProblemKind::Ambiguous, second, message));
            }
        }
        (self.images.len() == 1 && self.masks.len() == 1).then_some((image, mask))
    }
}

/// The folder that was asked for, or those of the usual names, if they hold image files.
fn folders(root: &Path, given: Option<&str>, usual: &[&str]) -> Vec<PathBuf> {
    let holds = |folder: &PathBuf| {
        !image_files(folder).is_empty() || parts(folder).iter().any(|(_, part)| !image_files(part).is_empty())
    };
    let found: Vec<PathBuf> = match given {
        None => sub_folders(root).into_iter().filter(|f| usual.contains(&plain(&name_of(f)).as_str())).collect(),
        Some(given) => step_by_step(root, given).into_iter().collect(),
    };
    found.into_iter().filter(holds).collect()
}

/// The folder of a relative path, names compared in composed form.
fn step_by_step(root: &Path, given: &str) -> Option<PathBuf> {
    Path::new(given).components().try_fold(root.to_owned(), |folder, part| {
        let name = composed(&part.as_os_str().to_string_lossy());
        sub_folders(&folder).into_iter().find(|sub| name_of(sub) == name)
    })
}

/// Whether images and masks stand beside each other in one folder: at least one image has a mask that is named after it.
fn is_mixed(folder: &Path) -> bool {
    let names: Vec<String> = image_files(folder).iter().map(|path| name_of(path)).collect();
    let (masks, images) = by_kind(names.iter().filter_map(|name| without_extension(name)).collect());
    let keys: HashSet<&str> = images.iter().map(|stem| without_word(stem, &IMAGES).unwrap_or(stem)).collect();
    masks.iter().any(|stem| without_word(stem, &MASKS).is_some_and(|key| keys.contains(key) || images.contains(&key)))
}

fn by_kind(stems: Vec<&str>) -> (Vec<&str>, Vec<&str>) {
    stems.into_iter().partition(|stem| without_word(stem, &MASKS).is_some())
}

pub(super) fn fits(root: &Path, options: &OpenOptions) -> bool {
    let here = |folder: &Path| Kinds::below(folder, options).are_both_here();
    let named = options.images.is_some() || options.masks.is_some();
    let mixed = |folder: &Path| !named && is_mixed(folder);
    here(root) || parts(root).iter().any(|(_, part)| here(part) || mixed(part)) || mixed(root)
}

pub(super) fn open(root: &Path, options: &OpenOptions) -> Result<Found> {
    let mut found = Found { description: "folder of images and masks".into(), ..Found::default() };
    let mut names = BTreeSet::new();
    let mut read_kinds = |folder: &Path, split: Option<Split>, found: &mut Found| -> Result<bool> {
        let kinds = Kinds::below(folder, options);
        if let Some((image_folder, mask_folder)) = kinds.only(&mut found.problems) {
            names.insert(format!("{} and {}", name_of(image_folder), name_of(mask_folder)));
            read_both(image_folder, mask_folder, split, found)?;
        }
        Ok(kinds.are_both_here())
    };
    let mut any = read_kinds(root, None, &mut found)?;
    for (split, part) in parts(root) {
        if read_kinds(&part, Some(split), &mut found)? {
            any = true;
        } else if is_mixed(&part) {
            read_mixed(&part, Some(split), &mut found)?;
            any = true;
        }
    }
    if !any {
        read_mixed(root, None, &mut found)?;
    }
    if !names.is_empty() {
        found.description.push_str(&format!(": {}", names.into_iter().collect::<Vec<_>>().join(", ")));
    }
    let tables: Vec<PathBuf> = TABLES.iter().map(|name| root.join(name)).filter(|p| p.is_file()).collect();
    if let [first, second] = tables.as_slice() {
        found.problems.push(Problem::new(ProblemKind::Ambiguous, second, format!("{} is there too", first.display())));
    } else if let Some(table) = tables.first() {
        apply_table(table, &mut found)?;
    }
    Ok(found)
}

/// A folder of images and a folder of masks: their files, and those of the parts below them.
fn read_both(image_folder: &Path, mask_folder: &Path, split: Option<Split>, found: &mut Found) -> Result<()> {
    if !image_files(image_folder).is_empty() || !image_files(mask_folder).is_empty() {
        let files = images(image_folder, &mut found.problems)?;
        let masks = images(mask_folder, &mut found.problems)?;
        add(files, masks, split, found);
    }
    if split.is_some() {
        return Ok(());
    }
    let mask_parts = parts(mask_folder);
    for (split, image_part) in parts(image_folder) {
        let same =
            |(own, part): &&(Split, PathBuf)| *own == split && plain(&name_of(part)) == plain(&name_of(&image_part));
        let partner = mask_parts.iter().find(same).or_else(|| mask_parts.iter().find(|(own, _)| *own == split));
        if let Some((_, mask_part)) = partner {
            let files = images(&image_part, &mut found.problems)?;
            let masks = images(mask_part, &mut found.problems)?;
            add(files, masks, Some(split), found);
        }
    }
    Ok(())
}

/// Images and masks beside each other.
fn read_mixed(folder: &Path, split: Option<Split>, found: &mut Found) -> Result<()> {
    let files = images(folder, &mut found.problems)?;
    let (masks, files): (Vec<_>, Vec<_>) =
        files.into_iter().partition(|(stem, _)| without_word(stem, &MASKS).is_some());
    add(files, masks, split, found);
    Ok(())
}

/// Pairs files of the same name, or of the same name once `_mask` and the like is left out.
fn add(files: Vec<(String, PathBuf)>, masks: Vec<(String, PathBuf)>, split: Option<Split>, found: &mut Found) {
    let stems = |list: &[(String, PathBuf)]| list.iter().map(|(stem, _)| stem.clone()).collect::<HashSet<String>>();
    let (image_stems, mask_stems) = (stems(&files), stems(&masks));
    let key = |stem: &str, others: &HashSet<String>, words: &[&str]| {
        let shorter = without_word(stem, words).filter(|_| !others.contains(stem));
        Some(shorter.unwrap_or(stem).to_owned())
    };
    let mask_key = |stem: &str| key(stem, &image_stems, &MASKS);
    let keys: HashSet<String> = mask_stems.iter().filter_map(|stem| mask_key(stem)).collect();
    let image_key = |stem: &str| key(stem, &keys, &IMAGES);
    for (stem, image, mask) in pair(files, masks, image_key, mask_key, &mut found.problems) {
        let id = split.map_or_else(|| stem.clone(), |split| format!("{split}_{stem}"));
        found.samples.push(sample(id, split, image, mask));
    }
}

fn apply_table(path: &Path, found: &mut Found) -> Result<()> {
    let fail = |reason: String| DataError::Split { path: path.to_owned(), reason };
    let records = read_records(path, &read_limited(path, LARGEST_TABLE)?)?;
    let mut first: BTreeMap<&str, u64> = BTreeMap::new();
    for record in &records {
        if let Some(before) = first.insert(&record.id, record.line) {
            return Err(fail(format!("lines {before} and {}: {:?} stands twice", record.line, record.id)));
        }
    }
    let rows = records.iter().map(|record| (record.id.clone(), record));
    let (mut by_id, unknown) = rows_by_id(&found.samples, rows)
        .map_err(|id| fail(format!("{id:?} stands twice, with and without an extension")))?;
    for sample in &mut found.samples {
        if let Some(record) = by_id.remove(&sample.id) {
            sample.split = Some(record.split);
            sample.patient = record.patient.clone();
        }
    }
    let without = found.samples.iter().filter(|s| s.split.is_none()).count();
    if without > 0 {
        found.notes.push(format!("{without} samples are not in {} and belong to no split", path.display()));
    }
    for id in unknown {
        found.problems.push(Problem::new(ProblemKind::MissingImage, path, format!("names {id:?}, which is not here")));
    }
    Ok(())
}

/// How the folders that were found could be named as folders of images and masks; `None` where there are no image files.
pub(super) fn hint(root: &Path, options: &OpenOptions) -> Option<String> {
    let is_part = |part: &Component<'_>| part.as_os_str().to_string_lossy().parse::<Split>().is_ok();
    let without_parts = |folder: &Path| folder.components().filter(|part| !is_part(part)).collect::<PathBuf>();
    let mut folders: Vec<String> =
        image_folders(root).iter().map(|f| without_parts(&f.folder).display().to_string()).collect();
    folders.retain(|name| !name.is_empty() && name != ".");
    folders.dedup();
    folders.sort();
    folders.dedup();
    let is_here = |name: &str| folders.contains(&composed(name));
    let given = |name: &Option<String>| name.clone().filter(|name| is_here(name));
    let wrong: Vec<&str> = [&options.images, &options.masks]
        .into_iter()
        .flatten()
        .map(String::as_str)
        .filter(|name| !is_here(name))
        .collect();
    let named = |words: &[&str]| {
        let last = |name: &str| plain(Path::new(name).file_name().unwrap_or_default().to_string_lossy().as_ref());
        folders.iter().find(|name| words.contains(&last(name).as_str())).cloned()
    };
    let other = |known: &Option<String>| match folders.as_slice() {
        [a, b] if known.as_ref() == Some(a) => Some(b.clone()),
        [a, b] if known.as_ref() == Some(b) => Some(a.clone()),
        _ => None,
    };
    if folders.is_empty() {
        return None;
    }
    let known_images = given(&options.images).or(named(&IMAGES));
    let known_masks = given(&options.masks).or(named(&MASKS));
    let images = known_images.clone().or(other(&known_masks)).unwrap_or_else(|| "FOLDER".into());
    let masks = known_masks.or(other(&known_images)).unwrap_or_else(|| "FOLDER".into());
    let mut text = String::new();
    if !wrong.is_empty() {
        text = format!("No folder {} with image files is here. ", wrong.join(" and no folder "));
    }
    text.push_str(&format!(
        "If these are images and masks, name their folders: --images {images} --masks {masks}, or in a run file \
         [data.options] images = {images:?}, masks = {masks:?}"
    ));
    Some(text)
}
