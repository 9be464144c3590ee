//! Synthetic sets in the publishers' layouts.

use super::{Piece, SIDES, Synthetic, angiogram, octa, outlines};
use crate::dataset::{ArcadeTask, Plexus};
use crate::error::{DataError, Result};
use crate::raster::Image;
use crate::split::Split;
use medseg_metrics::Mask;
use rayon::prelude::*;
use serde::Serialize;
use std::path::Path;

/// How many images each part has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Counts {
    /// Training images.
    pub train: usize,
    /// Validation images (ROSE has none).
    pub val: usize,
    /// Test images.
    pub test: usize,
}

impl Counts {
    fn parts(self) -> [(Split, usize); 3] {
        [(Split::Train, self.train), (Split::Val, self.val), (Split::Test, self.test)]
    }
}

/// The images of a part have their own range of numbers, so that asking for more images changes none of the others.
fn number(split: Split, index: usize) -> u64 {
    let part = match split {
        Split::Train => 0,
        Split::Val => 1,
        Split::Test => 2,
    };
    part * 1_000_000 + index as u64
}

#[derive(Serialize)]
struct CocoFile {
    categories: Vec<CocoCategory>,
    images: Vec<CocoEntry>,
    annotations: Vec<CocoAnnotation>,
}

#[derive(Serialize)]
struct CocoCategory {
    id: u32,
    name: &'static str,
    supercategory: &'static str,
}

#[derive(Serialize)]
struct CocoEntry {
    id: usize,
    width: usize,
    height: usize,
    file_name: String,
}

#[derive(Serialize)]
struct CocoAnnotation {
    id: usize,
    image_id: usize,
    category_id: u32,
    segmentation: [Vec<f64>; 1],
    area: f64,
    bbox: [f64; 4],
    iscrowd: u8,
}

/// ARCADE's category names; their ids count from 1.
const CATEGORIES: [&str; 26] = [
    "1", "2", "3", "4", "5", "6", "7", "8", "9", "9a", "10", "10a", "11", "12", "12a", "13", "14", "14a", "15", "16",
    "16a", "16b", "16c", "12b", "14b", "stenosis",
];
const STENOSIS: u32 = 26;

/// Writes angiograms in ARCADE's layout: `<root>/<task>/{train,val,test}/{images/<id>.png, annotations/<split>.json}`. In the
/// stenosis task every image has a stenosis (frames in which none can be seen are passed over).
///
/// # Errors
/// [`DataError::Config`] for a size outside [`SIDES`]; [`DataError::Io`], also when the folder exists and is not empty.
pub fn write_arcade(root: &Path, task: ArcadeTask, size: usize, counts: Counts, seed: u64) -> Result<()> {
    check_size(size)?;
    let folder = root.join(task.folder());
    make_empty(&folder)?;
    for (split, count) in counts.parts() {
        if count == 0 {
            continue;
        }
        let part = folder.join(split.to_string());
        let images = make(&part.join("images"))?;
        let written: Vec<(usize, Vec<(u32, Mask)>)> = (0..count)
            .into_par_iter()
            .map(|index| {
                let (synthetic, marks) = frame(task, size, seed, split, index);
                save(&images.join(format!("{}.png", index + 1)), &synthetic.image)?;
                Ok((index + 1, marks))
            })
            .collect::<Result<_>>()?;
        let annotations = make(&part.join("annotations"))?;
        write_json(&annotations.join(format!("{split}.json")), &coco_file(size, written))?;
    }
    Ok(())
}

/// One frame with what is annotated in it. A stenosis may lie outside the picture: then the next frame is tried.
fn frame(task: ArcadeTask, size: usize, seed: u64, split: Split, index: usize) -> (Synthetic, Vec<(u32, Mask)>) {
    let mut attempt = 0;
    loop {
        let synthetic = angiogram(size, seed, number(split, index) + attempt * 100_000_000);
        let marks: Vec<(u32, Mask)> = match task {
            ArcadeTask::Syntax => synthetic.pieces.iter().map(|p| (p.category, p.mask.clone())).collect(),
            ArcadeTask::Stenosis => {
                let narrow = |p: &Piece| Some((STENOSIS, p.stenosis.clone()?));
                synthetic.pieces.iter().filter_map(narrow).collect()
            }
        };
        if !marks.is_empty() {
            return (synthetic, marks);
        }
        attempt += 1;
    }
}

fn coco_file(size: usize, written: Vec<(usize, Vec<(u32, Mask)>)>) -> CocoFile {
    let category = |(i, name): (usize, &&'static str)| CocoCategory { id: i as u32 + 1, name, supercategory: "" };
    let mut file = CocoFile {
        categories: CATEGORIES.iter().enumerate().map(category).collect(),
        images: Vec::new(),
        annotations: Vec::new(),
    };
    for (id, marks) in written {
        file.images.push(CocoEntry { id, width: size, height: size, file_name: format!("{id}.png") });
        for (category_id, mask) in marks {
            for polygon in outlines(&mask) {
                let bound = |pick: fn(&(f64, f64)) -> f64| {
                    let values = polygon.iter().map(pick);
                    (values.clone().fold(f64::MAX, f64::min), values.fold(f64::MIN, f64::max))
                };
                let ((left, right), (top, bottom)) = (bound(|p| p.0), bound(|p| p.1));
                file.annotations.push(CocoAnnotation {
                    id: file.annotations.len() + 1,
                    image_id: id,
                    category_id,
                    area: area(&polygon),
                    bbox: [left, top, right - left, bottom - top],
                    segmentation: [polygon.into_iter().flat_map(|(x, y)| [x, y]).collect()],
                    iscrowd: 0,
                });
            }
        }
    }
    file
}

/// The area of a polygon by the shoelace formula.
fn area(polygon: &[(f64, f64)]) -> f64 {
    let next = polygon.iter().cycle().skip(1);
    polygon.iter().zip(next).map(|(a, b)| a.0 * b.1 - b.0 * a.1).sum::<f64>().abs() / 2.0
}

/// Writes OCT angiograms in ROSE-1's layout: `<root>/ROSE-1/SVC/{train,test}/{img,gt}/<nn>.tif`. `counts.val` must be 0.
///
/// # Errors
/// As [`write_arcade`].
pub fn write_rose(root: &Path, size: usize, counts: Counts, seed: u64) -> Result<()> {
    check_size(size)?;
    if counts.val > 0 {
        return Err(DataError::config("val", "0: ROSE has no validation part", counts.val));
    }
    let folder = root.join("ROSE-1").join(Plexus::Svc.folder());
    make_empty(&folder)?;
    let mut start = 1;
    for (split, count) in [(Split::Train, counts.train), (Split::Test, counts.test)] {
        if count == 0 {
            continue;
        }
        let part = folder.join(split.to_string());
        let (images, masks) = (make(&part.join("img"))?, make(&part.join("gt"))?);
        (0..count).into_par_iter().try_for_each(|index| {
            let Synthetic { image, mask, .. } = octa(size, seed, number(split, index));
            let name = format!("{:02}.tif", start + index);
            save(&images.join(&name), &image)?;
            let truth = mask.to_bytes().into_iter().map(|v| v * 255).collect();
            save(&masks.join(&name), &Image::from_parts(size, size, 1, truth))
        })?;
        start += count;
    }
    Ok(())
}

fn check_size(size: usize) -> Result<()> {
    if SIDES.contains(&size) {
        return Ok(());
    }
    Err(DataError::config("size", format!("{} to {} pixels", SIDES.start(), SIDES.end()), size))
}

fn make(folder: &Path) -> Result<std::path::PathBuf> {
    std::fs::create_dir_all(folder).map_err(DataError::io(folder))?;
    Ok(folder.to_owned())
}

/// Makes a folder, and refuses one with files in it: a half-overwritten set would mix seeds.
fn make_empty(folder: &Path) -> Result<()> {
    make(folder)?;
    if std::fs::read_dir(folder).map_err(DataError::io(folder))?.next().is_some() {
        let full =
            std::io::Error::new(std::io::ErrorKind::AlreadyExists, "expected an empty folder, found files in it");
        return Err(DataError::io(folder)(full));
    }
    Ok(())
}

fn write_json(path: &Path, file: &CocoFile) -> Result<()> {
    let text =
        serde_json::to_vec(file).map_err(|e| DataError::Annotation { path: path.to_owned(), reason: e.to_string() })?;
    atomic_file::write(path, &text).map_err(DataError::io(path))
}

/// Writes an image in the format of the file's extension.
fn save(path: &Path, image: &Image) -> Result<()> {
    let colour = if image.channels() == 1 { image::ExtendedColorType::L8 } else { image::ExtendedColorType::Rgb8 };
    let (width, height) = (image.width() as u32, image.height() as u32);
    image::save_buffer(path, image.data(), width, height, colour).map_err(|error| match error {
        image::ImageError::IoError(source) => DataError::Io { path: path.to_owned(), source },
        other => DataError::Io { path: path.to_owned(), source: std::io::Error::other(other) },
    })
}
