//! DIAS: `{training,validation,test}/{images/image_s<sequence>_i<frame>.png, labels/label_s<sequence>.png}`. A sequence has one
//! mask; its image is the minimum-intensity projection of its frames.

use super::Found;
use crate::check::{Problem, ProblemKind};
use crate::dataset::tree::{images, parts};
use crate::dataset::{ImageSource, MaskSource, OpenOptions, Reading, Sample};
use crate::error::Result;
use crate::names::{image_files, name_of, without_extension};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

pub(super) fn fits(root: &Path, _: &OpenOptions) -> bool {
    let is_frame = |path: &PathBuf| without_extension(&name_of(path)).and_then(frame).is_some();
    let has = |part: &Path| part.join("labels").is_dir() && image_files(&part.join("images")).iter().any(is_frame);
    parts(root).iter().any(|(_, part)| has(part))
}

/// `image_s12_i3` is frame 3 of sequence 12.
fn frame(stem: &str) -> Option<(u32, u32)> {
    let (sequence, frame) = stem.strip_prefix("image_s")?.split_once("_i")?;
    Some((sequence.parse().ok()?, frame.parse().ok()?))
}

pub(super) fn open(root: &Path, _: &OpenOptions) -> Result<Found> {
    let mut found = Found {
        description: "DIAS, minimum-intensity projection of each sequence".into(),
        expected_size: Some((800, 800)),
        ..Found::default()
    };
    for (split, folder) in parts(root) {
        if !folder.join("images").is_dir() || !folder.join("labels").is_dir() {
            found.notes.push(format!("{}: no images with labels; left out", name_of(&folder)));
            continue;
        }
        let mut sequences: BTreeMap<u32, BTreeMap<u32, PathBuf>> = BTreeMap::new();
        for (stem, path) in images(&folder.join("images"), &mut found.problems)? {
            match frame(&stem) {
                Some((sequence, frame)) => {
                    sequences.entry(sequence).or_default().insert(frame, path);
                }
                None => found.problems.push(Problem::new(
                    ProblemKind::Ambiguous,
                    &path,
                    "expected a name such as image_s1_i1",
                )),
            }
        }
        let mut masks: BTreeMap<u32, PathBuf> = BTreeMap::new();
        for (stem, path) in images(&folder.join("labels"), &mut found.problems)? {
            match stem.strip_prefix("label_s").and_then(|n| n.parse().ok()) {
                Some(sequence) => {
                    masks.insert(sequence, path);
                }
                None => {
                    found.problems.push(Problem::new(ProblemKind::Ambiguous, &path, "expected a name such as label_s1"))
                }
            }
        }
        for (sequence, frames) in sequences {
            let frames: Vec<PathBuf> = frames.into_values().collect();
            match masks.remove(&sequence) {
                Some(mask) => found.samples.push(Sample {
                    id: format!("s{sequence}"),
                    patient: None,
                    split: Some(split),
                    image: ImageSource::MinimumProjection(frames),
                    mask: MaskSource::File(mask),
                    field_of_view: None,
                    reading: Reading::default(),
                }),
                None => found.problems.push(Problem::new(
                    ProblemKind::MissingMask,
                    &frames[0],
                    format!("expected labels/label_s{sequence}"),
                )),
            }
        }
        for (sequence, path) in masks {
            let expected = format!("expected frames images/image_s{sequence}_i*");
            found.problems.push(Problem::new(ProblemKind::MissingImage, &path, expected));
        }
    }
    number_by_part_if_repeated(&mut found);
    Ok(found)
}

/// Should sequence numbers start anew in each part, the part goes into the id.
fn number_by_part_if_repeated(found: &mut Found) {
    let mut ids: Vec<&str> = found.samples.iter().map(|s| s.id.as_str()).collect();
    ids.sort_unstable();
    if ids.windows(2).any(|pair| pair[0] == pair[1]) {
        for sample in &mut found.samples {
            sample.id = format!("{}_{}", sample.split.map(|s| s.to_string()).unwrap_or_default(), sample.id);
        }
    }
}
