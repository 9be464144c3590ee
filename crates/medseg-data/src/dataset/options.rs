//! The choices that a layout leaves open.

use crate::decode::{ExifOrientation, ImageOptions, IntensityRange, Label, Labels, MaskRule, Pages};
use crate::error::{DataError, Result};
use serde::{Deserialize, Serialize};
use std::path::{Component, Path};

/// The layouts that can be recognised.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Layout {
    /// ARCADE, both generations of the archive: COCO json and PNG.
    Arcade,
    /// ROSE-1: three plexuses of OCT angiography.
    #[serde(rename = "rose-1")]
    Rose1,
    /// ROSE-2.
    #[serde(rename = "rose-2")]
    Rose2,
    /// DRIVE: retinal fundus photographs.
    Drive,
    /// DIAS: sequences of cerebral angiography.
    Dias,
    /// XRay-Angio, also called DCA1: coronary angiograms in PGM.
    XrayAngio,
    /// CHASE_DB1: retinal fundus photographs, two observers.
    ChaseDb1,
    /// OCTA-500: projection maps of OCT angiography.
    #[serde(rename = "octa-500")]
    Octa500,
    /// ROSSA: OCT angiography.
    Rossa,
    /// Images and masks paired by name.
    Folder,
}

impl std::fmt::Display for Layout {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Arcade => "ARCADE",
            Self::Rose1 => "ROSE-1",
            Self::Rose2 => "ROSE-2",
            Self::Drive => "DRIVE",
            Self::Dias => "DIAS",
            Self::XrayAngio => "XRay-Angio (DCA1)",
            Self::ChaseDb1 => "CHASE_DB1",
            Self::Octa500 => "OCTA-500",
            Self::Rossa => "ROSSA",
            Self::Folder => "folder of images and masks",
        })
    }
}

/// The two tasks of ARCADE.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ArcadeTask {
    /// Vessel segments; their union is the vessel mask.
    #[default]
    Syntax,
    /// Stenoses only.
    Stenosis,
}

impl ArcadeTask {
    pub(crate) fn folder(self) -> &'static str {
        match self {
            Self::Syntax => "syntax",
            Self::Stenosis => "stenosis",
        }
    }
}

/// The plexuses of ROSE-1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Plexus {
    /// Superficial vascular complex.
    #[default]
    Svc,
    /// Deep vascular complex.
    Dvc,
    /// Both together.
    SvcDvc,
}

impl Plexus {
    pub(crate) fn folder(self) -> &'static str {
        match self {
            Self::Svc => "SVC",
            Self::Dvc => "DVC",
            Self::SvcDvc => "SVC_DVC",
        }
    }
}

/// The kinds of ground truth of ROSE-1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum GroundTruth {
    /// `gt`: the whole annotation.
    #[default]
    Whole,
    /// `thick_gt`: vessels at pixel level.
    Thick,
    /// `thin_gt`: centre lines of small vessels.
    Thin,
}

impl GroundTruth {
    pub(crate) fn folder(self) -> &'static str {
        match self {
            Self::Whole => "gt",
            Self::Thick => "thick_gt",
            Self::Thin => "thin_gt",
        }
    }
}

/// The observers of CHASE_DB1 (and of DRIVE's older test set).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Observer {
    /// The first observer, the customary reference.
    #[default]
    First,
    /// The second observer.
    Second,
}

/// The fields of view of OCTA-500.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum OctaField {
    /// 3 mm x 3 mm, 304 x 304 pixels, ids 10301 to 10500.
    #[default]
    #[serde(rename = "3m")]
    ThreeMillimetres,
    /// 6 mm x 6 mm, 400 x 400 pixels, ids 10001 to 10300.
    #[serde(rename = "6m")]
    SixMillimetres,
}

impl OctaField {
    pub(crate) fn folder(self) -> &'static str {
        match self {
            Self::ThreeMillimetres => "OCTA_3M",
            Self::SixMillimetres => "OCTA_6M",
        }
    }
}

/// What to take where a data set offers a choice. A choice that a layout does not have is not consulted.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub struct OpenOptions {
    /// Insist on this layout instead of recognising one.
    pub layout: Option<Layout>,
    /// The folder layout's folder of images, where it has none of the usual names: a name, or a path below the set's folder
    /// or below its parts. Giving it, or `masks`, insists on the folder layout.
    pub images: Option<String>,
    /// The folder layout's folder of masks, likewise.
    pub masks: Option<String>,
    /// ARCADE's task; `None` takes syntax when it is there, stenosis otherwise.
    #[serde(alias = "arcade_task")]
    pub arcade_task: Option<ArcadeTask>,
    /// ARCADE's categories that make up the mask; `None` takes all.
    #[serde(alias = "arcade_categories")]
    pub arcade_categories: Option<Vec<u32>>,
    /// ROSE-1's plexus; `None` takes SVC, or the plexus whose folder was given.
    #[serde(alias = "rose_plexus")]
    pub rose_plexus: Option<Plexus>,
    /// ROSE-1's kind of ground truth.
    #[serde(alias = "rose_ground_truth")]
    pub rose_ground_truth: GroundTruth,
    /// CHASE_DB1's observer; also DRIVE's, whose second observer saw the test images only.
    pub observer: Observer,
    /// OCTA-500's field of view; `None` takes 3 mm when it is there, 6 mm otherwise.
    #[serde(alias = "octa_field")]
    pub octa_field: Option<OctaField>,
    /// Mask files are grey, and values of at least this (in their own units) are foreground.
    pub threshold: Option<f64>,
    /// Values of mask files that are foreground: whole numbers, or colours such as `"#ff0000"`.
    pub foreground: Vec<Label>,
    /// Values of mask files that are background; needed only for files without any foreground.
    pub background: Vec<Label>,
    /// Values of mask files whose pixels count neither in the loss nor in a metric.
    pub ignore: Vec<Label>,
    /// Which values of an image become black and white.
    pub range: IntensityRange,
    /// Which pages of an image file make up the image.
    pub pages: Pages,
    /// What becomes of an EXIF orientation.
    pub orientation: ExifOrientation,
}

impl OpenOptions {
    /// The rule for mask files that the options amount to.
    ///
    /// # Errors
    /// [`DataError::Config`] for a threshold beside labels, a threshold out of range, or a label with two meanings.
    pub fn mask_rule(&self) -> Result<MaskRule> {
        let (foreground, background) = (self.foreground.clone(), self.background.clone());
        let labels = Labels { foreground, background, ignore: self.ignore.clone() };
        let rule = match self.threshold {
            None if labels == Labels::default() => MaskRule::Automatic,
            None => MaskRule::Labels(labels),
            Some(threshold) if labels == Labels::default() => MaskRule::Threshold(threshold),
            Some(threshold) => {
                return Err(DataError::config(
                    "threshold",
                    "no labels beside a threshold",
                    format!("{threshold} and labels"),
                ));
            }
        };
        rule.validate()?;
        Ok(rule)
    }

    /// The options for image files.
    ///
    /// # Errors
    /// [`DataError::Config`] for options out of range.
    pub fn image_options(&self) -> Result<ImageOptions> {
        let images = ImageOptions { range: self.range, pages: self.pages, orientation: self.orientation };
        images.validate()?;
        Ok(images)
    }

    /// The layout insisted on, whether by name or by naming folders.
    pub(crate) fn insisted(&self) -> Result<Option<Layout>> {
        let named = [("images", &self.images), ("masks", &self.masks)];
        let mut given = named.into_iter().filter_map(|(field, name)| Some((field, name.as_deref()?)));
        let Some((first, _)) = given.clone().next() else { return Ok(self.layout) };
        if let Some((field, name)) = given.find(|(_, name)| !is_below(name)) {
            return Err(DataError::config(field, "the name of a folder below the data set's", format!("{name:?}")));
        }
        match self.layout {
            None | Some(Layout::Folder) => Ok(Some(Layout::Folder)),
            Some(other) => {
                Err(DataError::config(first, "the layout `folder`, which alone takes names of folders", other))
            }
        }
    }
}

/// Whether a path leads to a folder below the one it is joined to.
fn is_below(name: &str) -> bool {
    !name.is_empty() && Path::new(name).components().all(|part| matches!(part, Component::Normal(_)))
}
