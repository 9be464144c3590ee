//! Images and masks paired by name: what users have.
//!
//! ```text
//! images/<name>.png  masks/<name>.png or masks/<name>_mask.png   [data_split.csv]   (the layout of the released SALT code)
//! {train,val,test}/{images,masks}/...   or   {images,masks}/{train,val,test}/...   or only one of the two in parts
//! <name>.png  <name>_mask.png                                    [data_split.csv]
//! ```
//!
//! Folders and parts go by their usual names, in capitals or not; other names are given as options. The split table has the
//! columns `imgs,labels,split,fold` (of the first two only base names count) or `id,split,fold`; a column `patient` is
//! optional in both.

mod hint;
mod table;
mod words;

pub(super) use hint::hint;

use super::Found;
use crate::check::{Problem, ProblemKind};
use crate::dataset::OpenOptions;
use crate::dataset::tree::{images, pair, parts, sample};
use crate::error::Result;
use crate::names::{composed, image_files, name_of, sub_folders, without_extension};
use crate::split::Split;
use std::collections::{BTreeSet, HashSet};
use std::path::{Path, PathBuf};
use words::{IMAGES, MASKS, plain, without_word};

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
                    "several folders of {kind}: {names}; choose one with --{kind} FOLDER, or in a run file with \
                     {kind} = \"FOLDER\" in [data.options]"
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
    let stems = names.iter().filter_map(|name| without_extension(name));
    let (masks, images): (Vec<&str>, Vec<&str>) = stems.partition(|stem| without_word(stem, &MASKS).is_some());
    let keys: HashSet<&str> =
        images.iter().flat_map(|stem| [Some(*stem), without_word(stem, &IMAGES)]).flatten().collect();
    masks.iter().filter_map(|stem| without_word(stem, &MASKS)).any(|key| keys.contains(key))
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
    table::apply(root, &mut found)?;
    Ok(found)
}

/// A folder of images and a folder of masks: their files, and those of the parts below them. Where only one of the two is
/// divided into parts, its files tell the part.
fn read_both(image_folder: &Path, mask_folder: &Path, split: Option<Split>, found: &mut Found) -> Result<()> {
    let (image_places, mask_places) = (places(image_folder, split), places(mask_folder, split));
    let is_flat = |places: &[Place]| places.iter().all(|(part, _)| *part == split);
    if is_flat(&image_places) != is_flat(&mask_places) {
        let files = files_of(&image_places, found)?;
        let masks = files_of(&mask_places, found)?;
        let part_of = |path: &Path| {
            image_places
                .iter()
                .chain(&mask_places)
                .find(|(_, folder)| path.parent() == Some(folder))
                .and_then(|(s, _)| *s)
        };
        add(files, masks, |image, mask| part_of(image).or(part_of(mask)), found);
        return Ok(());
    }
    let mut left = mask_places;
    for (part, image_place) in image_places {
        let same_name = |place: &Place| plain(&name_of(&place.1)) == plain(&name_of(&image_place));
        let of_part: Vec<usize> = (0..left.len()).filter(|&at| left[at].0 == part).collect();
        let partner = of_part.iter().copied().find(|&at| same_name(&left[at])).or(of_part.first().copied());
        let Some(partner) = partner else { continue };
        let (_, mask_place) = left.remove(partner);
        let files = images(&image_place, &mut found.problems)?;
        let masks = images(&mask_place, &mut found.problems)?;
        add(files, masks, |_, _| part, found);
    }
    Ok(())
}

/// A folder with image files and the part that it belongs to.
type Place = (Option<Split>, PathBuf);

/// The folder itself and its parts, as far as they hold image files; the parts of a part do not count.
fn places(folder: &Path, split: Option<Split>) -> Vec<Place> {
    let below = if split.is_none() { parts(folder) } else { Vec::new() };
    let all = [(split, folder.to_owned())].into_iter().chain(below.into_iter().map(|(part, path)| (Some(part), path)));
    all.filter(|(_, path)| !image_files(path).is_empty()).collect()
}

fn files_of(places: &[Place], found: &mut Found) -> Result<Vec<(String, PathBuf)>> {
    let mut files = Vec::new();
    for (_, folder) in places {
        files.extend(images(folder, &mut found.problems)?);
    }
    Ok(files)
}

/// Images and masks beside each other.
fn read_mixed(folder: &Path, split: Option<Split>, found: &mut Found) -> Result<()> {
    let files = images(folder, &mut found.problems)?;
    let (masks, files): (Vec<_>, Vec<_>) =
        files.into_iter().partition(|(stem, _)| without_word(stem, &MASKS).is_some());
    add(files, masks, |_, _| split, found);
    Ok(())
}

/// Pairs files of the same name, or of the same name once `_mask` and the like is left out; `part` tells the split of an
/// image and its mask.
fn add(
    files: Vec<(String, PathBuf)>,
    masks: Vec<(String, PathBuf)>,
    part: impl Fn(&Path, &Path) -> Option<Split>,
    found: &mut Found,
) {
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
        let split = part(&image, &mask);
        let id = split.map_or_else(|| stem.clone(), |split| format!("{split}_{stem}"));
        found.samples.push(sample(id, split, image, mask));
    }
}
