//! One module per publisher's layout: where it would be, and how its files pair up.

mod arcade;
mod chase;
mod dias;
mod drive;
mod folder;
mod octa500;
mod rose;
mod rossa;
mod xray_angio;

use super::annotations;
use super::unused::{image_folders, unread_images, unused};
use super::{ArcadeTask, Dataset, Layout, OpenOptions, Sample};
use crate::check::{Problem, ProblemKind, Report};
use crate::error::{DataError, Result};
use crate::names::{natural, sub_folders};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// What a layout module found.
#[derive(Default)]
struct Found {
    description: String,
    arcade_task: Option<ArcadeTask>,
    notes: Vec<String>,
    expected_size: Option<(usize, usize)>,
    samples: Vec<Sample>,
    problems: Vec<Problem>,
    warnings: Vec<Problem>,
    /// Files, and folders with all they hold, that a choice leaves aside: the other observer, another plexus.
    companions: Vec<PathBuf>,
}

/// A layout: what it looks like, whether a folder has what is particular to it, how it is read.
struct Recogniser {
    layout: Layout,
    looks_like: &'static str,
    fits: fn(&Path, &OpenOptions) -> bool,
    open: fn(&Path, &OpenOptions) -> Result<Found>,
}

/// From the most to the least specific.
const RECOGNISERS: [Recogniser; 10] = [
    Recogniser {
        layout: Layout::Arcade,
        looks_like: "ARCADE ({syntax,stenosis}/{train,val,test}/annotations/*.json)",
        fits: arcade::fits,
        open: arcade::open,
    },
    Recogniser {
        layout: Layout::Rose1,
        looks_like: "ROSE-1 ({SVC,DVC,SVC_DVC}/{train,test}/{img,gt})",
        fits: rose::fits_rose1,
        open: rose::open_rose1,
    },
    Recogniser {
        layout: Layout::Rose2,
        looks_like: "ROSE-2 ({train,test}/{original,gt})",
        fits: rose::fits_rose2,
        open: rose::open_rose2,
    },
    Recogniser {
        layout: Layout::Drive,
        looks_like: "DRIVE ({training,test}/{images,1st_manual/<nn>_manual1,mask})",
        fits: drive::fits,
        open: drive::open,
    },
    Recogniser {
        layout: Layout::Dias,
        looks_like: "DIAS ({training,validation,test}/{images/image_s*_i*.png,labels/label_s*.png})",
        fits: dias::fits,
        open: dias::open,
    },
    Recogniser {
        layout: Layout::XrayAngio,
        looks_like: "XRay-Angio (<k>.pgm and <k>_gt.pgm, nothing else)",
        fits: xray_angio::fits,
        open: xray_angio::open,
    },
    Recogniser {
        layout: Layout::ChaseDb1,
        looks_like: "CHASE_DB1 (Image_<nn><L or R>.jpg and Image_<nn><L or R>_1stHO.png)",
        fits: chase::fits,
        open: chase::open,
    },
    Recogniser {
        layout: Layout::Octa500,
        looks_like: "OCTA-500 ({OCTA_3M,OCTA_6M}/{ProjectionMaps/OCTA(ILM_OPL),GT_LargeVessel})",
        fits: octa500::fits,
        open: octa500::open,
    },
    Recogniser {
        layout: Layout::Rossa,
        looks_like: "ROSSA ({train_manual,val,test}/{image,label})",
        fits: rossa::fits,
        open: rossa::open,
    },
    Recogniser {
        layout: Layout::Folder,
        looks_like: "images and masks ({images,masks} by stem or with a suffix such as _mask, with or without {train,val,test} above or below, or \
                     both in one folder with the suffix)",
        fits: folder::fits,
        open: folder::open,
    },
];

/// How many levels below the given folder a data set is looked for: archives often unpack into one more folder.
const LEVELS_BELOW: usize = 2;

/// Most folders of one level that are looked at.
const FOLDERS_A_LEVEL: usize = 256;

/// The data set in a folder, or else the only one below it.
fn locate<'a>(
    path: &Path,
    options: &OpenOptions,
    candidates: &[&'a Recogniser],
) -> Result<Option<(PathBuf, &'a Recogniser)>> {
    let mut level = vec![path.to_owned()];
    for depth in 0..=LEVELS_BELOW {
        let mut found: Vec<(PathBuf, &Recogniser)> = Vec::new();
        for folder in &level {
            // A loose folder of images is recognised only where it was pointed at: below, it could be a part of something.
            let fits = |r: &&&Recogniser| (depth == 0 || r.layout != Layout::Folder) && (r.fits)(folder, options);
            found.extend(candidates.iter().find(fits).map(|r| (folder.clone(), *r)));
        }
        if found.len() > 1 {
            let found = found.iter().map(|(folder, r)| format!("{} in {}", r.layout, folder.display())).collect();
            return Err(DataError::Several { path: path.to_owned(), found });
        }
        if let Some(only) = found.pop() {
            return Ok(Some(only));
        }
        level = level.iter().flat_map(|p| sub_folders(p)).take(FOLDERS_A_LEVEL).collect();
    }
    Ok(None)
}

pub(super) fn open(path: &Path, options: &OpenOptions) -> Result<Dataset> {
    let insisted = options.insisted()?;
    let candidates: Vec<&Recogniser> =
        RECOGNISERS.iter().filter(|r| insisted.is_none_or(|layout| layout == r.layout)).collect();
    if let Some((root, recogniser)) = locate(path, options, &candidates)? {
        let found = (recogniser.open)(&root, options)?;
        return finish(path, root, recogniser.layout, found);
    }
    let looked_for = candidates.iter().map(|r| r.looks_like.to_owned()).collect();
    let folders = candidates.iter().any(|r| r.layout == Layout::Folder).then(|| folder::hint(path, options)).flatten();
    let hints: Vec<String> = [folders, unread_images(path), annotations::hint(path)].into_iter().flatten().collect();
    let hint = (!hints.is_empty()).then(|| hints.join(". "));
    Err(DataError::Unrecognised { path: path.to_owned(), looked_for, folders: image_folders(path), hint })
}

fn finish(path: &Path, root: PathBuf, layout: Layout, found: Found) -> Result<Dataset> {
    let Found {
        description,
        arcade_task,
        mut notes,
        expected_size,
        mut samples,
        mut problems,
        mut warnings,
        companions,
    } = found;
    samples.sort_by_cached_key(|s| natural(&s.id));
    let mut seen: BTreeMap<&str, &Sample> = BTreeMap::new();
    for sample in &samples {
        if let Some(other) = seen.insert(&sample.id, sample) {
            let (path, other) = (first_path(sample), first_path(other));
            problems.push(Problem::new(ProblemKind::Ambiguous, &path, format!("has the id of {}", other.display())));
        }
    }
    if samples.is_empty() && problems.is_empty() {
        problems.push(Problem::new(ProblemKind::MissingImage, &root, format!("{description}: no image with a mask")));
    }
    if !problems.is_empty() {
        return Err(DataError::Problems(Report::new(problems)));
    }
    notes.sort();
    warnings.extend(unused(path, &samples, &companions));
    Ok(Dataset { root, layout, arcade_task, description, notes, warnings, expected_size, samples })
}

fn first_path(sample: &Sample) -> PathBuf {
    sample.image.paths().first().cloned().unwrap_or_default()
}
