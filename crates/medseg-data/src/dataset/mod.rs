//! Data sets as their publishers lay them out.
//!
//! [`Dataset::open`] looks at a folder, says what it recognised, and pairs images with masks. It checks structure only (no
//! pixel is decoded) and reports every problem at once; [`check::verify`](crate::check::verify) decodes everything.

mod annotations;
mod assign;
mod layouts;
mod options;
mod sample;
mod tree;
mod unused;

pub use options::{ArcadeTask, GroundTruth, Layout, Observer, OctaField, OpenOptions, Plexus};
pub(crate) use sample::same_size;
pub use sample::{ImageSource, Loaded, MaskSource, Reading, Sample};
pub use unused::ImageFolder;

use crate::check::Problem;
use crate::error::{DataError, Result};
use crate::split::Split;
use std::path::{Path, PathBuf};

/// A data set on disk: samples in a fixed order (natural order of their ids), nothing decoded yet.
#[derive(Debug, Clone)]
pub struct Dataset {
    /// The folder that holds the recognised layout (the given one, or one below it).
    pub root: PathBuf,
    /// What was recognised.
    pub layout: Layout,
    /// ARCADE's task; `None` for other sets.
    pub arcade_task: Option<ArcadeTask>,
    /// The recognised layout in words, with the choices made.
    pub description: String,
    /// What the user should know: parts left out, choices made between several candidates.
    pub notes: Vec<String>,
    /// What is probably not meant to be so: image files that no sample came from, descriptions that describe nothing.
    /// [`verify`](crate::check::verify) repeats them.
    pub warnings: Vec<Problem>,
    /// Width and height in pixels that the publisher states; `None` where sizes are free.
    pub expected_size: Option<(usize, usize)>,
    /// The samples, in natural order of their ids.
    pub samples: Vec<Sample>,
}

impl Dataset {
    /// Recognises and opens a data set with the default choices of [`OpenOptions`].
    ///
    /// # Errors
    /// [`DataError::Unrecognised`] when no layout fits; [`DataError::Several`] when the folder holds several data sets;
    /// [`DataError::Problems`] with every structural problem (missing masks,
    /// images or masks without a partner, two files of one name); [`DataError::Annotation`], [`DataError::Split`],
    /// [`DataError::Io`].
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        Self::open_with(path, &OpenOptions::default())
    }

    /// [`open`](Dataset::open) with explicit choices (task, plexus, observer, ...).
    ///
    /// # Errors
    /// As [`open`](Dataset::open).
    pub fn open_with(path: impl AsRef<Path>, options: &OpenOptions) -> Result<Self> {
        let path = path.as_ref();
        let found = std::fs::metadata(path).map_err(DataError::io(path))?;
        if !found.is_dir() {
            let looked_for = vec!["a folder".into()];
            return Err(DataError::Unrecognised { path: path.to_owned(), looked_for, folders: Vec::new(), hint: None });
        }
        let (images, masks) = (options.image_options()?, options.mask_rule()?);
        let mut dataset = layouts::open(path, options)?;
        for sample in &mut dataset.samples {
            (sample.reading.images, sample.reading.masks) = (images, masks.clone());
        }
        Ok(dataset)
    }

    /// The samples of one split.
    pub fn split(&self, split: Split) -> impl Iterator<Item = &Sample> {
        self.samples.iter().filter(move |s| s.split == Some(split))
    }

    /// The sample with this id.
    pub fn sample(&self, id: &str) -> Option<&Sample> {
        self.samples.iter().find(|s| s.id == id)
    }

    /// Keeps only the samples for which `keep` holds.
    pub fn retain(&mut self, keep: impl FnMut(&Sample) -> bool) {
        self.samples.retain(keep);
    }
}
