//! A sample: one image with its mask, not decoded yet.

use crate::coco::CocoImage;
use crate::decode::{Limits, MaskPolicy, decode_image, decode_mask};
use crate::error::{DataError, Result};
use crate::raster::{Image, Mask};
use crate::split::Split;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Where the pixels of an image come from.
#[derive(Debug, Clone, PartialEq)]
pub enum ImageSource {
    /// One file.
    File(PathBuf),
    /// The per-pixel minimum of several frames of one size: contrast medium is dark, so the minimum shows every vessel that
    /// filled at any time.
    MinimumProjection(Vec<PathBuf>),
}

impl ImageSource {
    /// The files that are read, in order.
    pub fn paths(&self) -> &[PathBuf] {
        match self {
            Self::File(path) => std::slice::from_ref(path),
            Self::MinimumProjection(paths) => paths,
        }
    }
}

/// Where a mask comes from.
#[derive(Debug, Clone, PartialEq)]
pub enum MaskSource {
    /// A mask file.
    File(PathBuf),
    /// Polygons and run lengths of a COCO file.
    Polygons {
        /// The json file.
        annotations: PathBuf,
        /// The described image with its regions.
        image: Arc<CocoImage>,
        /// Categories that make up the mask; all when `None`.
        categories: Option<Arc<[String]>>,
    },
}

impl MaskSource {
    /// The mask file or the annotation file.
    pub fn path(&self) -> &Path {
        match self {
            Self::File(path) => path,
            Self::Polygons { annotations, .. } => annotations,
        }
    }
}

/// One image with its mask.
#[derive(Debug, Clone, PartialEq)]
pub struct Sample {
    /// Unique in its data set, stable, and safe as a file name stem.
    pub id: String,
    /// The patient, where file names tell.
    pub patient: Option<String>,
    /// The split, where the publisher or a table defines one.
    pub split: Option<Split>,
    /// The image.
    pub image: ImageSource,
    /// The mask.
    pub mask: MaskSource,
    /// The file of the field-of-view mask, if the data set has one.
    pub field_of_view: Option<PathBuf>,
}

/// A decoded sample; image and mask have the same size.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Loaded {
    /// The image.
    pub image: Image,
    /// Its mask.
    pub mask: Mask,
}

impl Loaded {
    /// Memory taken, in bytes.
    pub fn bytes(&self) -> usize {
        self.image.data().len() + self.mask.data().len()
    }
}

impl Sample {
    /// Decodes image and mask with default [`Limits`] and [`MaskPolicy`].
    ///
    /// # Errors
    /// As [`load_with`](Sample::load_with).
    pub fn load(&self) -> Result<Loaded> {
        self.load_with(&Limits::default(), MaskPolicy::default())
    }

    /// Decodes image and mask.
    ///
    /// # Errors
    /// As [`load_image`](Sample::load_image) and [`load_mask`](Sample::load_mask); [`DataError::SizeMismatch`] when the two
    /// differ in size.
    pub fn load_with(&self, limits: &Limits, policy: MaskPolicy) -> Result<Loaded> {
        let image = self.load_image(limits)?;
        let mask = self.load_mask(limits, policy)?;
        let reference = self.image.paths().first().cloned().unwrap_or_default();
        same_size(&reference, image.size(), self.mask.path(), mask.size())?;
        Ok(Loaded { image, mask })
    }

    /// Decodes the image alone.
    ///
    /// # Errors
    /// [`DataError::Io`], [`DataError::Limit`], [`DataError::Decode`]; [`DataError::SizeMismatch`] between frames of a sequence.
    pub fn load_image(&self, limits: &Limits) -> Result<Image> {
        match &self.image {
            ImageSource::File(path) => decode_image(path, limits),
            ImageSource::MinimumProjection(paths) => minimum_projection(paths, limits),
        }
    }

    /// Decodes the mask alone.
    ///
    /// # Errors
    /// As [`decode_mask`]; of a COCO file [`DataError::BadAnnotations`], and [`DataError::Annotation`] for an image whose
    /// annotations cover no pixel, unless `policy` allows it.
    pub fn load_mask(&self, limits: &Limits, policy: MaskPolicy) -> Result<Mask> {
        match &self.mask {
            MaskSource::File(path) => decode_mask(path, limits, policy),
            MaskSource::Polygons { annotations, image, categories } => {
                if !image.problems.is_empty() {
                    return Err(DataError::BadAnnotations {
                        path: annotations.clone(),
                        image: format!("{} ({})", image.id, image.file_name),
                        reasons: image.problems.clone(),
                    });
                }
                let mask = image.mask(categories.as_deref());
                if mask.area() == 0 && !policy.allow_empty {
                    return Err(DataError::Annotation {
                        path: annotations.clone(),
                        reason: format!(
                            "image {} ({}) has no annotation that covers a pixel",
                            image.id, image.file_name
                        ),
                    });
                }
                Ok(mask)
            }
        }
    }

    /// Decodes the field-of-view mask (1 inside), if the data set has one.
    ///
    /// # Errors
    /// As [`decode_mask`].
    pub fn load_field_of_view(&self, limits: &Limits) -> Result<Option<Mask>> {
        self.field_of_view.as_ref().map(|path| decode_mask(path, limits, MaskPolicy::default())).transpose()
    }

    /// The regions of a COCO sample that cover no pixel although they lie near the image.
    pub(crate) fn idle_polygons(&self) -> usize {
        match &self.mask {
            MaskSource::File(_) => 0,
            MaskSource::Polygons { image, .. } => {
                image.regions.iter().filter(|r| r.mask(image.width, image.height).area() == 0).count()
            }
        }
    }
}

pub(crate) fn same_size(reference: &Path, expected: (usize, usize), path: &Path, found: (usize, usize)) -> Result<()> {
    if expected == found {
        return Ok(());
    }
    Err(DataError::SizeMismatch { path: path.to_owned(), reference: reference.to_owned(), expected, found })
}

fn minimum_projection(paths: &[PathBuf], limits: &Limits) -> Result<Image> {
    let Some((first, rest)) = paths.split_first() else {
        return Err(DataError::Decode { path: PathBuf::new(), reason: "a sequence without frames".into() });
    };
    let start = decode_image(first, limits)?.to_grey();
    let (width, height) = start.size();
    let mut lowest = start.into_data();
    for path in rest {
        let frame = decode_image(path, limits)?.to_grey();
        same_size(first, (width, height), path, frame.size())?;
        for (low, value) in lowest.iter_mut().zip(frame.data()) {
            *low = (*low).min(*value);
        }
    }
    Ok(Image::from_parts(width, height, 1, lowest))
}
