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

use super::{Dataset, Layout, OpenOptions, Sample, natural};
use crate::check::{Problem, ProblemKind, Report};
use crate::error::{DataError, Result};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// What a layout module found.
#[derive(Default)]
struct Found {
    description: String,
    notes: Vec<String>,
    expected_size: Option<(usize, usize)>,
    samples: Vec<Sample>,
    problems: Vec<Problem>,
}

/// A layout: what it looks like, where it is below a folder, how it is read.
struct Recogniser {
    layout: Layout,
    looks_like: &'static str,
    find: fn(&Path) -> Option<PathBuf>,
    open: fn(&Path, &OpenOptions) -> Result<Found>,
}

/// From the most to the least specific.
const RECOGNISERS: [Recogniser; 10] = [
    Recogniser {
        layout: Layout::Arcade,
        looks_like: "ARCADE ({syntax,stenosis}/{train,val,test}/annotations/*.json)",
        find: arcade::find,
        open: arcade::open,
    },
    Recogniser {
        layout: Layout::Rose1,
        looks_like: "ROSE-1 ({SVC,DVC,SVC_DVC}/{train,test}/{img,gt})",
        find: rose::find_rose1,
        open: rose::open_rose1,
    },
    Recogniser {
        layout: Layout::Rose2,
        looks_like: "ROSE-2 ({train,test}/{original,gt})",
        find: rose::find_rose2,
        open: rose::open_rose2,
    },
    Recogniser {
        layout: Layout::Drive,
        looks_like: "DRIVE ({training,test}/{images,1st_manual,mask})",
        find: drive::find,
        open: drive::open,
    },
    Recogniser {
        layout: Layout::Dias,
        looks_like: "DIAS ({training,validation,test}/{images/image_s*_i*.png,labels/label_s*.png})",
        find: dias::find,
        open: dias::open,
    },
    Recogniser {
        layout: Layout::XrayAngio,
        looks_like: "XRay-Angio (<k>.pgm and <k>_gt.pgm)",
        find: xray_angio::find,
        open: xray_angio::open,
    },
    Recogniser {
        layout: Layout::ChaseDb1,
        looks_like: "CHASE_DB1 (Image_<nn><L or R>.jpg and Image_<nn><L or R>_1stHO.png)",
        find: chase::find,
        open: chase::open,
    },
    Recogniser {
        layout: Layout::Octa500,
        looks_like: "OCTA-500 ({OCTA_3M,OCTA_6M}/{ProjectionMaps/OCTA(ILM_OPL),GT_LargeVessel})",
        find: octa500::find,
        open: octa500::open,
    },
    Recogniser {
        layout: Layout::Rossa,
        looks_like: "ROSSA ({train_manual,val,test}/{image,label})",
        find: rossa::find,
        open: rossa::open,
    },
    Recogniser {
        layout: Layout::Folder,
        looks_like: "images and masks ({images,masks} by stem or with the suffix _mask, or both in one folder with the suffix)",
        find: folder::find,
        open: folder::open,
    },
];

/// The folder itself, then its sub-folders (archives often unpack into one more folder), then theirs.
fn search(path: &Path, find: fn(&Path) -> Option<PathBuf>) -> Option<PathBuf> {
    let mut level = vec![path.to_owned()];
    for _ in 0..3 {
        if let Some(found) = level.iter().find_map(|p| find(p)) {
            return Some(found);
        }
        level = level.iter().flat_map(|p| sub_folders(p)).take(256).collect();
    }
    None
}

fn sub_folders(path: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(path) else { return Vec::new() };
    let mut found: Vec<PathBuf> = entries.flatten().map(|e| e.path()).filter(|p| p.is_dir()).collect();
    found.sort();
    found
}

pub(super) fn open(path: &Path, options: &OpenOptions) -> Result<Dataset> {
    let wanted = |r: &&Recogniser| options.layout.is_none_or(|l| l == r.layout);
    let candidates: Vec<&Recogniser> = RECOGNISERS.iter().filter(wanted).collect();
    // A loose folder of images is recognised only where it was pointed at: below, it could be a part of something else.
    let locate = |r: &Recogniser| if r.layout == Layout::Folder { (r.find)(path) } else { search(path, r.find) };
    for recogniser in &candidates {
        if let Some(root) = locate(recogniser) {
            let found = (recogniser.open)(&root, options)?;
            return finish(root, recogniser.layout, found);
        }
    }
    let looked_for = candidates.iter().map(|r| r.looks_like.to_owned()).collect();
    Err(DataError::Unrecognised { path: path.to_owned(), looked_for })
}

fn finish(root: PathBuf, layout: Layout, found: Found) -> Result<Dataset> {
    let Found { description, mut notes, expected_size, mut samples, mut problems } = found;
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
    Ok(Dataset { root, layout, description, notes, expected_size, samples })
}

fn first_path(sample: &Sample) -> PathBuf {
    sample.image.paths().first().cloned().unwrap_or_default()
}
