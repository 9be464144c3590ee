//! COCO annotation files: polygons in, masks out.
//!
//! Only what segmentation needs is read: images, categories, and annotations made of polygons. What a hostile or broken file
//! could abuse is checked before it is used: file names must be plain names, coordinates finite and near the image.

mod polygon;

pub use polygon::fill_polygon;

use crate::decode::{Limits, read_limited};
use crate::error::{DataError, Result};
use medseg_metrics::Mask;
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// One polygon of an annotation: x and y in pixels, (0, 0) the top left corner of the top left pixel.
#[derive(Debug, Clone, PartialEq)]
pub struct Polygon {
    /// The category, an id of [`Coco::categories`].
    pub category: u32,
    /// The vertices in order, at least three; the last one is joined to the first.
    pub points: Vec<(f64, f64)>,
}

/// An image of a COCO file with its polygons.
#[derive(Debug, Clone, PartialEq)]
pub struct CocoImage {
    /// The file's `id`.
    pub id: u64,
    /// A plain file name without folders.
    pub file_name: String,
    /// Width in pixels.
    pub width: usize,
    /// Height in pixels.
    pub height: usize,
    /// Polygons in the order of the file.
    pub polygons: Vec<Polygon>,
}

impl CocoImage {
    /// The union of all filled polygons whose category is in `categories` (all when `None`).
    ///
    /// # Errors
    /// As [`fill_polygon`].
    pub fn mask(&self, categories: Option<&[u32]>) -> Result<Mask> {
        let mut mask = Mask::new(self.height, self.width)?;
        for polygon in self.polygons.iter().filter(|p| categories.is_none_or(|c| c.contains(&p.category))) {
            mask = mask.union(&fill_polygon(&polygon.points, self.width, self.height)?)?;
        }
        Ok(mask)
    }
}

/// A checked COCO file; images are in the order of their ids.
#[derive(Debug, Clone, PartialEq)]
pub struct Coco {
    /// Where it was read from.
    pub path: PathBuf,
    /// Images by ascending id.
    pub images: Vec<CocoImage>,
    /// Category names by id.
    pub categories: BTreeMap<u32, String>,
}

#[derive(Deserialize)]
struct RawFile {
    images: Vec<RawImage>,
    annotations: Vec<RawAnnotation>,
    #[serde(default)]
    categories: Vec<RawCategory>,
}

#[derive(Deserialize)]
struct RawImage {
    id: u64,
    width: usize,
    height: usize,
    file_name: String,
}

#[derive(Deserialize)]
struct RawCategory {
    id: u32,
    name: String,
}

#[derive(Deserialize)]
struct RawAnnotation {
    #[serde(default)]
    id: u64,
    image_id: u64,
    category_id: u32,
    segmentation: serde_json::Value,
}

impl Coco {
    /// Reads and checks a COCO json file.
    ///
    /// # Errors
    /// [`DataError::Io`], [`DataError::Limit`]; [`DataError::Annotation`] when the file is not UTF-8 json, repeats an image id or
    /// file name, names a file with folders in it, refers to an image or category that it does not define, or holds a polygon
    /// with fewer than three points, a coordinate that is not finite, or none of its points near the image.
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
        let raw: RawFile = serde_json::from_str(text).map_err(|e| fail(format!("not a COCO file: {e}")))?;
        let categories: BTreeMap<u32, String> = raw.categories.into_iter().map(|c| (c.id, c.name)).collect();
        let (mut images, mut names) = (BTreeMap::new(), BTreeSet::new());
        for image in raw.images {
            let what = format!("image {}", image.id);
            if !is_plain_name(&image.file_name) {
                return Err(fail(format!(
                    "{what}: expected file_name to be a plain file name, found {:?}",
                    image.file_name
                )));
            }
            let side = image.width.max(image.height) as u64;
            if image.width == 0 || image.height == 0 || side > u64::from(limits.max_side) {
                return Err(fail(format!(
                    "{what}: expected width and height of 1 to {}, found {}x{}",
                    limits.max_side, image.width, image.height
                )));
            }
            if !names.insert(image.file_name.clone()) {
                return Err(fail(format!("{what}: file_name {:?} is used twice", image.file_name)));
            }
            let RawImage { id, width, height, file_name } = image;
            let kept = CocoImage { id, file_name, width, height, polygons: Vec::new() };
            if images.insert(id, kept).is_some() {
                return Err(fail(format!("{what} is described twice")));
            }
        }
        for annotation in raw.annotations {
            let what = format!("annotation {} of image {}", annotation.id, annotation.image_id);
            let Some(image) = images.get_mut(&annotation.image_id) else {
                return Err(fail(format!("{what}: no such image in the file")));
            };
            if !categories.is_empty() && !categories.contains_key(&annotation.category_id) {
                return Err(fail(format!("{what}: category {} is not defined", annotation.category_id)));
            }
            let polygons: Vec<Vec<f64>> = serde_json::from_value(annotation.segmentation)
                .map_err(|_| fail(format!("{what}: expected segmentation to be a list of polygons")))?;
            for flat in polygons {
                let points = polygon::check(&flat, image.width, image.height)
                    .map_err(|reason| fail(format!("{what}: {reason}")))?;
                image.polygons.push(Polygon { category: annotation.category_id, points });
            }
        }
        Ok(Self { path: path.to_owned(), images: images.into_values().collect(), categories })
    }
}

/// Whether a name stays in its folder on every system: no separators, no drive, no `.` or `..`, no control characters.
pub(crate) fn is_plain_name(name: &str) -> bool {
    !name.is_empty()
        && name != "."
        && name != ".."
        && !name.chars().any(|c| matches!(c, '/' | '\\' | ':') || c.is_control())
}
