//! COCO annotation files: polygons and run lengths in, masks out.
//!
//! Only what segmentation needs is read: images, categories, and annotations made of polygons or run lengths. Regions marked
//! `iscrowd` are regions like all others, as for the `annToMask` of pycocotools. What a hostile or broken file could abuse is
//! checked before it is used: file names must be plain names, coordinates finite and near the image, run lengths those of the
//! image. A bad annotation costs its image, not the file.

mod polygon;
mod raw;
mod run_lengths;

pub use polygon::fill_polygon;

use crate::decode::{Limits, read_limited};
use crate::error::{DataError, Result};
use crate::names::{composed, natural};
use medseg_metrics::Mask;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// What an annotation covers.
#[derive(Debug, Clone, PartialEq)]
pub enum Shape {
    /// x and y in pixels, (0, 0) the top left corner of the top left pixel: the vertices in order, at least three; the last
    /// one is joined to the first.
    Polygon(Vec<(f64, f64)>),
    /// How many pixels of background, then of foreground, and so on, counted down the columns of the whole image.
    RunLengths(Vec<u32>),
}

/// One polygon of an annotation, or its run lengths.
#[derive(Debug, Clone, PartialEq)]
pub struct Region {
    /// The category, an id of [`Coco::categories`].
    pub category: String,
    /// What it covers.
    pub shape: Shape,
}

impl Region {
    /// The pixels of the region on its image, which has `width` x `height` pixels.
    pub(crate) fn mask(&self, width: usize, height: usize) -> Result<Mask> {
        match &self.shape {
            Shape::Polygon(points) => fill_polygon(points, width, height),
            Shape::RunLengths(runs) => run_lengths::fill(runs, width, height),
        }
    }
}

/// An image of a COCO file with its regions.
#[derive(Debug, Clone, PartialEq)]
pub struct CocoImage {
    /// The file's `id`, a number or text.
    pub id: String,
    /// A plain file name without folders, in Unicode's composed form.
    pub file_name: String,
    /// Width in pixels.
    pub width: usize,
    /// Height in pixels.
    pub height: usize,
    /// Regions in the order of the file.
    pub regions: Vec<Region>,
    /// Annotations that could not be read, each with its id and the reason. While there is one, [`mask`](CocoImage::mask) is
    /// incomplete and a [`Sample`](crate::Sample) refuses the image.
    pub problems: Vec<String>,
}

impl CocoImage {
    /// The union of all regions whose category is in `categories` (all when `None`).
    ///
    /// # Errors
    /// As [`fill_polygon`].
    pub fn mask(&self, categories: Option<&[String]>) -> Result<Mask> {
        let mut mask = Mask::new(self.height, self.width)?;
        for region in self.regions.iter().filter(|r| categories.is_none_or(|c| c.contains(&r.category))) {
            mask.unite(&region.mask(self.width, self.height)?)?;
        }
        Ok(mask)
    }
}

/// A checked COCO file; images are in the natural order of their ids.
#[derive(Debug, Clone, PartialEq)]
pub struct Coco {
    /// Where it was read from.
    pub path: PathBuf,
    /// Images by ascending id.
    pub images: Vec<CocoImage>,
    /// Category names by id.
    pub categories: BTreeMap<String, String>,
    /// Annotations of images that the file does not describe, each with its id.
    pub orphans: Vec<String>,
}

impl Coco {
    /// Reads and checks a COCO json file.
    ///
    /// # Errors
    /// [`DataError::Io`], [`DataError::Limit`]; [`DataError::Annotation`] when the file is not UTF-8 json, or with every image
    /// that has no id, no size, a repeated id or file name, or a file name with folders in it. Annotations that cannot be read
    /// are no error here: see [`CocoImage::problems`].
    pub fn read(path: impl AsRef<Path>, limits: &Limits) -> Result<Self> {
        let path = path.as_ref();
        Self::parse(path, &read_limited(path, limits.max_file_bytes)?, limits)
    }

    /// [`read`](Coco::read) on bytes in memory; `path` is for messages.
    ///
    /// # Errors
    /// As [`read`](Coco::read).
    pub fn parse(path: &Path, bytes: &[u8], limits: &Limits) -> Result<Self> {
        let fail = |reason: String| DataError::Annotation { path: path.to_owned(), reason };
        let text = std::str::from_utf8(bytes)
            .map_err(|e| fail(format!("expected UTF-8 json, found another encoding at byte {}", e.valid_up_to())))?;
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let raw = raw::parse(text).map_err(|e| fail(format!("not a COCO file: {e}")))?;
        let mut images = read_images(&raw.images, limits).map_err(|reasons| fail(reasons.join("; ")))?;
        let categories = raw.categories.iter().filter_map(|c| {
            let id = raw::id(&c["id"])?;
            Some((id.clone(), c["name"].as_str().unwrap_or(&id).to_owned()))
        });
        let categories: BTreeMap<String, String> = categories.collect();
        let mut orphans = Vec::new();
        for (number, annotation) in raw.annotations.iter().enumerate() {
            let own = raw::id(&annotation["id"]).unwrap_or_else(|| format!("number {number} (without an id)"));
            let image = raw::id(&annotation["image_id"]).and_then(|id| images.get_mut(&natural(&id)));
            let Some(image) = image else {
                orphans.push(format!("annotation {own} of image {}", raw::shown(&annotation["image_id"])));
                continue;
            };
            match read_annotation(annotation, &categories, image) {
                Ok(regions) => image.regions.extend(regions),
                Err(reason) => image.problems.push(format!("annotation {own}: {reason}")),
            }
        }
        Ok(Self { path: path.to_owned(), images: images.into_values().collect(), categories, orphans })
    }
}

type NaturalId = (Vec<(bool, u128, String)>, String);

/// The described images by id, or everything that is wrong with their descriptions.
fn read_images(described: &[Value], limits: &Limits) -> Result<BTreeMap<NaturalId, CocoImage>, Vec<String>> {
    let (mut images, mut names, mut reasons) = (BTreeMap::new(), BTreeSet::new(), Vec::new());
    for (number, value) in described.iter().enumerate() {
        match read_image(value, limits) {
            Err(reason) => reasons.push(format!("images[{number}]: {reason}")),
            Ok(image) => {
                if !names.insert(image.file_name.clone()) {
                    reasons.push(format!("image {}: file_name {:?} is used twice", image.id, image.file_name));
                }
                if let Some(first) = images.insert(natural(&image.id), image) {
                    reasons.push(format!("image {} is described twice", first.id));
                }
            }
        }
    }
    if reasons.is_empty() { Ok(images) } else { Err(reasons) }
}

fn read_image(value: &Value, limits: &Limits) -> Result<CocoImage, String> {
    let id = raw::id(&value["id"]);
    let id = id.ok_or_else(|| format!("expected id to be a number or text, found {}", raw::shown(&value["id"])))?;
    let name = value["file_name"].as_str().unwrap_or_default();
    if !is_plain_name(name) {
        let found = raw::shown(&value["file_name"]);
        return Err(format!("image {id}: expected file_name to be a plain file name, found {found:?}"));
    }
    let side = |field: &str| raw::whole(&value[field]).filter(|side| (1..=u64::from(limits.max_side)).contains(side));
    let (Some(width), Some(height)) = (side("width"), side("height")) else {
        let (width, height) = (raw::shown(&value["width"]), raw::shown(&value["height"]));
        let most = limits.max_side;
        return Err(format!("image {id}: expected a whole width and height of 1 to {most}, found {width} x {height}"));
    };
    let (width, height) = (width as usize, height as usize);
    Ok(CocoImage { id, file_name: composed(name), width, height, regions: Vec::new(), problems: Vec::new() })
}

fn read_annotation(
    annotation: &Value,
    categories: &BTreeMap<String, String>,
    image: &CocoImage,
) -> Result<Vec<Region>, String> {
    let category = raw::id(&annotation["category_id"]);
    let category = category
        .filter(|id| categories.is_empty() || categories.contains_key(id))
        .ok_or_else(|| format!("category {} is not defined", raw::shown(&annotation["category_id"])))?;
    raw::regions(&annotation["segmentation"], &category, image.width, image.height)
}

/// Whether a name stays in its folder on every system: no separators, no drive, no `.` or `..`, no control characters.
fn is_plain_name(name: &str) -> bool {
    !name.is_empty()
        && name != "."
        && name != ".."
        && !name.chars().any(|c| matches!(c, '/' | '\\' | ':') || c.is_control())
}
