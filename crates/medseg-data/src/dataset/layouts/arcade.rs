//! ARCADE: COCO json beside PNG images. Two generations of the archive:
//!
//! ```text
//! {syntax,stenosis}/{train,val,test}/{images/<id>.png, annotations/<split>.json}
//! dataset_phase_1/{segmentation_dataset/seg_,stenosis_dataset/sten_}{train,val}/{images,annotations}
//! dataset_final_phase/{test_case_segmentation,test_cases_stenosis}/{images,annotations/instances_default.json}
//! ```

use super::Found;
use crate::check::{Problem, ProblemKind};
use crate::coco::Coco;
use crate::dataset::{ArcadeTask, ImageSource, MaskSource, OpenOptions, Reading, Sample};
use crate::decode::Limits;
use crate::error::{DataError, Result};
use crate::names::{entries, image_files, name_of, without_extension};
use crate::split::Split;
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

const TASKS: [ArcadeTask; 2] = [ArcadeTask::Syntax, ArcadeTask::Stenosis];
const SPLITS: [Split; 3] = [Split::Train, Split::Val, Split::Test];

/// The json files of a part: folders named `annotations` also hold masks, in other sets.
fn json_files(part: &Path) -> Vec<PathBuf> {
    let is_json = |path: &PathBuf| path.extension().is_some_and(|e| e.eq_ignore_ascii_case("json"));
    entries(&part.join("annotations")).unwrap_or_default().into_iter().filter(is_json).collect()
}

/// The folders of one task, of either generation.
fn parts(root: &Path, task: ArcadeTask) -> Vec<(Split, PathBuf)> {
    let (phase, prefix, last) = match task {
        ArcadeTask::Syntax => ("segmentation_dataset", "seg", ["test_case_segmentation", "test_cases_segmentation"]),
        ArcadeTask::Stenosis => ("stenosis_dataset", "sten", ["test_cases_stenosis", "test_case_stenosis"]),
    };
    let new = SPLITS.map(|split| (split, root.join(task.folder()).join(split.to_string())));
    let old = [Split::Train, Split::Val]
        .map(|split| (split, root.join("dataset_phase_1").join(phase).join(format!("{prefix}_{split}"))));
    let test = last.map(|name| (Split::Test, root.join("dataset_final_phase").join(name)));
    new.into_iter().chain(old).chain(test).filter(|(_, p)| !json_files(p).is_empty()).collect()
}

/// Whether `root` itself is a task's folder, and which.
fn task_folder(root: &Path) -> Option<ArcadeTask> {
    TASKS.into_iter().find(|t| root.ends_with(t.folder()))
}

pub(super) fn fits(root: &Path, _: &OpenOptions) -> bool {
    let here = |root: &Path| TASKS.iter().any(|&task| !parts(root, task).is_empty());
    // Pointed at the task itself: stay there, so that the choice of the task is kept.
    here(root) || task_folder(root).is_some() && root.parent().is_some_and(here)
}

pub(super) fn open(root: &Path, options: &OpenOptions) -> Result<Found> {
    let own = task_folder(root).filter(|&task| root.parent().is_some_and(|p| !parts(p, task).is_empty()));
    let base = if own.is_some() { root.parent().unwrap_or(root) } else { root };
    let present: Vec<ArcadeTask> = TASKS.into_iter().filter(|&t| !parts(base, t).is_empty()).collect();
    let task = options.arcade_task.or(own).or(present.first().copied()).unwrap_or_default();
    let folders = parts(base, task);
    let mut found = Found {
        description: format!("ARCADE, task {}", task.folder()),
        arcade_task: Some(task),
        expected_size: Some((512, 512)),
        ..Found::default()
    };
    if folders.is_empty() {
        return Err(DataError::config("arcade-task", "a task that is on disk", task.folder()));
    }
    if options.arcade_task.is_none() && own.is_none() && present.len() > 1 {
        found.notes.push(format!("both tasks are here; took {}", task.folder()));
    }
    for (split, folder) in folders {
        read_part(split, &folder, options, &mut found)?;
    }
    let others = TASKS.into_iter().filter(|&other| other != task);
    found.companions.extend(others.flat_map(|other| parts(base, other)).map(|(_, folder)| folder));
    Ok(found)
}

fn read_part(split: Split, folder: &Path, options: &OpenOptions, found: &mut Found) -> Result<()> {
    let images = folder.join("images");
    if !images.is_dir() {
        found.notes.push(format!("{split}: annotations without a folder of images; left out"));
        return Ok(());
    }
    let annotations = annotation_file(split, folder)?;
    let coco = Coco::read(&annotations, &Limits::default())?;
    if !coco.orphans.is_empty() {
        let message = format!("annotations of images that are not described: {}", coco.orphans.join(", "));
        found.warnings.push(Problem::warning(ProblemKind::BadAnnotation, &annotations, message));
    }
    let chosen = options.arcade_categories.as_deref();
    let categories: Option<Arc<[String]>> = chosen.map(|ids| ids.iter().map(u32::to_string).collect());
    if let Some(unknown) = categories.iter().flat_map(|c| c.iter()).find(|c| !coco.categories.contains_key(*c)) {
        return Err(DataError::config("arcade-categories", "categories of the annotation file", unknown));
    }
    // By composed names: json and file system may write the same name in different forms.
    let on_disk: HashMap<String, PathBuf> = image_files(&images).into_iter().map(|p| (name_of(&p), p)).collect();
    for image in coco.images {
        let path = on_disk.get(&image.file_name).cloned().unwrap_or_else(|| images.join(&image.file_name));
        if !path.is_file() {
            let what = format!("described in {}, not in the folder of images", annotations.display());
            found.problems.push(Problem::new(ProblemKind::MissingImage, &path, what));
            continue;
        }
        let stem = without_extension(&image.file_name).unwrap_or(&image.file_name);
        found.samples.push(Sample {
            id: format!("{split}_{stem}"),
            patient: None,
            split: Some(split),
            image: ImageSource::File(path),
            mask: MaskSource::Polygons {
                annotations: annotations.clone(),
                image: Arc::new(image),
                categories: categories.clone(),
            },
            field_of_view: None,
            reading: Reading::default(),
        });
    }
    Ok(())
}

/// The only json of `annotations/`, or the one named after its split.
fn annotation_file(split: Split, folder: &Path) -> Result<PathBuf> {
    let files = json_files(folder);
    let named = format!("{split}.json");
    if let Some(own) = files.iter().find(|path| name_of(path) == named) {
        return Ok(own.clone());
    }
    match files.as_slice() {
        [only] => Ok(only.clone()),
        _ => Err(DataError::Annotation {
            path: folder.join("annotations"),
            reason: format!("expected one json file, or one named {named}, found {}", files.len()),
        }),
    }
}
