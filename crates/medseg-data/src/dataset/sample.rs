//! A sample: one image with its mask, not decoded yet.

use crate::coco::{CocoImage, Region};
use crate::decode::{
    DecodedMask, ImageOptions, Limits, Loss, MaskPolicy, MaskRule, decode_image, decode_lowest, decode_mask,
    inspect_image, inspect_lowest,
};
use crate::error::{DataError, Result};
use crate::raster::{Image, size_of};
use crate::split::Split;
use medseg_metrics::Mask;
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
    /// How the files are read.
    pub reading: Reading,
}

/// How the files of a sample are read.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Reading {
    /// The options for images.
    pub images: ImageOptions,
    /// What is foreground in mask files, chosen by the user; stands above every other rule unless it is
    /// [`MaskRule::Automatic`].
    pub masks: MaskRule,
    /// What is foreground in the publisher's mask files, where these are known to be grey.
    pub published_masks: MaskRule,
}

/// A decoded sample; image and mask have the same size.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Loaded {
    /// The image.
    pub image: Image,
    /// Its mask.
    pub mask: Mask,
    /// Pixels that count neither in the loss nor in a metric, where the sample has any.
    pub ignored: Option<Mask>,
}

impl Sample {
    /// Decodes image and mask with default [`Limits`] and [`MaskPolicy`].
    ///
    /// # Errors
    /// As [`load_with`](Sample::load_with).
    pub fn load(&self) -> Result<Loaded> {
        self.load_with(&Limits::default(), &MaskPolicy::default())
    }

    /// Decodes image and mask.
    ///
    /// # Errors
    /// As [`load_image`](Sample::load_image) and [`load_mask`](Sample::load_mask); [`DataError::SizeMismatch`] when the two
    /// differ in size.
    pub fn load_with(&self, limits: &Limits, policy: &MaskPolicy) -> Result<Loaded> {
        let image = self.load_image(limits)?;
        let DecodedMask { mask, ignored } = self.load_mask(limits, policy)?;
        let reference = self.image.paths().first().cloned().unwrap_or_default();
        same_size(&reference, image.size(), self.mask.path(), size_of(&mask))?;
        Ok(Loaded { image, mask, ignored })
    }

    /// Decodes the image alone, as [`Reading::images`] says.
    ///
    /// # Errors
    /// As [`decode_image`]; [`DataError::SizeMismatch`] between frames of a sequence.
    pub fn load_image(&self, limits: &Limits) -> Result<Image> {
        match &self.image {
            ImageSource::File(path) => decode_image(path, limits, &self.reading.images),
            ImageSource::MinimumProjection(paths) => decode_lowest(paths, limits, &self.reading.images),
        }
    }

    /// Decodes the mask alone. What is foreground in a file: the user's choice ([`Reading::masks`]), else `policy`'s, else the
    /// publisher's.
    ///
    /// # Errors
    /// As [`decode_mask`]; of a COCO file [`DataError::BadAnnotations`], and [`DataError::Annotation`] for an image whose
    /// annotations cover no pixel, unless `policy` allows it.
    pub fn load_mask(&self, limits: &Limits, policy: &MaskPolicy) -> Result<DecodedMask> {
        match &self.mask {
            MaskSource::File(path) => Ok(self.read_mask(path, limits, policy)?.0),
            MaskSource::Polygons { annotations, image, categories } => {
                if !image.problems.is_empty() {
                    return Err(DataError::BadAnnotations {
                        path: annotations.clone(),
                        image: format!("{} ({})", image.id, image.file_name),
                        reasons: image.problems.clone(),
                    });
                }
                let mask = image.mask(categories.as_deref())?;
                if mask.is_empty() && !policy.allow_empty {
                    return Err(DataError::Annotation {
                        path: annotations.clone(),
                        reason: format!(
                            "image {} ({}) has no annotation that covers a pixel",
                            image.id, image.file_name
                        ),
                    });
                }
                Ok(DecodedMask { mask, ignored: None })
            }
        }
    }

    fn read_mask(&self, path: &Path, limits: &Limits, policy: &MaskPolicy) -> Result<(DecodedMask, Vec<Loss>)> {
        let rules = [&self.reading.masks, &policy.rule, &self.reading.published_masks];
        let rule = rules.into_iter().find(|&rule| *rule != MaskRule::Automatic).cloned().unwrap_or_default();
        decode_mask(path, limits, &self.reading.images, &MaskPolicy { rule, allow_empty: policy.allow_empty })
    }

    /// [`load_image`](Sample::load_image), and what its files hold and the reading of them left out.
    ///
    /// # Errors
    /// As [`load_image`](Sample::load_image).
    pub(crate) fn inspect_image(&self, limits: &Limits) -> Result<(Image, Vec<Loss>)> {
        match &self.image {
            ImageSource::File(path) => inspect_image(path, limits, &self.reading.images),
            ImageSource::MinimumProjection(paths) => inspect_lowest(paths, limits, &self.reading.images),
        }
    }

    /// [`load_mask`](Sample::load_mask), and what its file holds and the reading of it left out.
    ///
    /// # Errors
    /// As [`load_mask`](Sample::load_mask).
    pub(crate) fn inspect_mask(&self, limits: &Limits, policy: &MaskPolicy) -> Result<(DecodedMask, Vec<Loss>)> {
        match &self.mask {
            MaskSource::File(path) => self.read_mask(path, limits, policy),
            MaskSource::Polygons { .. } => Ok((self.load_mask(limits, policy)?, Vec::new())),
        }
    }

    /// Decodes the field-of-view mask (1 inside), if the data set has one.
    ///
    /// # Errors
    /// As [`decode_mask`].
    pub fn load_field_of_view(&self, limits: &Limits) -> Result<Option<Mask>> {
        let read = |path: &PathBuf| decode_mask(path, limits, &self.reading.images, &MaskPolicy::default());
        Ok(self.field_of_view.as_ref().map(read).transpose()?.map(|(view, _)| view.mask))
    }

    /// The regions of a COCO sample that cover no pixel although they lie near the image.
    pub(crate) fn idle_polygons(&self) -> usize {
        match &self.mask {
            MaskSource::File(_) => 0,
            MaskSource::Polygons { image, .. } => {
                let idle = |region: &Region| region.mask(image.width, image.height).is_ok_and(|mask| mask.is_empty());
                image.regions.iter().filter(|region| idle(region)).count()
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
