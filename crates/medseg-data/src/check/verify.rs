//! Decode everything, and say everything that is wrong.

use super::duplicates::{DuplicatePair, ImagePrint, NEAR_DUPLICATE, duplicates};
use super::{Problem, ProblemKind, Report, Severity};
use crate::dataset::{Dataset, Sample};
use crate::decode::{Limits, MaskPolicy};
use crate::raster::size_of;
use crate::split::Split;
use rayon::prelude::*;
use std::collections::BTreeMap;
use std::path::PathBuf;

/// What [`verify`] looks for.
#[derive(Debug, Clone, PartialEq)]
pub struct VerifyOptions {
    /// Decoding limits.
    pub limits: Limits,
    /// The rule for mask files; an empty mask that it does not allow is an error.
    pub masks: MaskPolicy,
    /// Correlation of vessel-scale detail after alignment, 0 to 1, from which two images count as nearly the same (see
    /// [`duplicates`]); `None` looks for images with the same pixels only.
    pub near_duplicates: Option<f32>,
}

impl Default for VerifyOptions {
    /// Near duplicates from [`NEAR_DUPLICATE`].
    fn default() -> Self {
        Self { limits: Limits::default(), masks: MaskPolicy::default(), near_duplicates: Some(NEAR_DUPLICATE) }
    }
}

/// Decodes every sample and reports every problem: unreadable, mis-sized, empty and multi-class files, polygons that fill
/// nothing, what the reading of a file leaves out ([`Loss`](crate::decode::Loss), a warning), duplicates (an error across splits, a warning within one), one patient in two splits, sizes other than the
/// publisher's (a warning).
pub fn verify(dataset: &Dataset, options: &VerifyOptions) -> Report {
    let results: Vec<(Option<ImagePrint>, Vec<Problem>)> =
        dataset.samples.par_iter().map(|sample| check(dataset, sample, options)).collect();
    let mut problems = dataset.warnings.clone();
    let (mut prints, mut owners) = (Vec::new(), Vec::new());
    for (sample, (print, found)) in dataset.samples.iter().zip(results) {
        problems.extend(found);
        if let Some(print) = print {
            prints.push(print);
            owners.push(sample);
        }
    }
    for pair in duplicates(&prints, options.near_duplicates) {
        problems.push(double(owners[pair.first], owners[pair.second], &pair));
    }
    problems.extend(leaks(&dataset.samples));
    Report::new(problems)
}

fn path(sample: &Sample) -> PathBuf {
    sample.image.paths().first().cloned().unwrap_or_default()
}

fn check(dataset: &Dataset, sample: &Sample, options: &VerifyOptions) -> (Option<ImagePrint>, Vec<Problem>) {
    let path = path(sample);
    let mut problems = Vec::new();
    let mask_path = sample.mask.path();
    let image = sample.inspect_image(&options.limits);
    let image = image.map_err(|e| problems.push(Problem::from_error(&path, &e))).ok().map(|(image, losses)| {
        problems.extend(losses.iter().map(|loss| Problem::warning(loss.into(), &path, loss.to_string())));
        image
    });
    let mask = sample.inspect_mask(&options.limits, &options.masks);
    let mask = mask.map_err(|e| problems.push(Problem::from_error(mask_path, &e))).ok().map(|(decoded, losses)| {
        problems.extend(losses.iter().map(|loss| Problem::warning(loss.into(), mask_path, loss.to_string())));
        decoded.mask
    });
    if let (Some(image), Some(mask)) = (&image, &mask)
        && let Err(error) = crate::dataset::same_size(&path, image.size(), mask_path, size_of(mask))
    {
        problems.push(Problem::from_error(mask_path, &error));
    }
    if let (Some(image), Some((width, height))) = (&image, dataset.expected_size)
        && image.size() != (width, height)
    {
        let (w, h) = image.size();
        let message = format!("{} images have {width}x{height} pixels, found {w}x{h}", dataset.layout);
        problems.push(Problem::warning(ProblemKind::WrongSize, &path, message));
    }
    match sample.load_field_of_view(&options.limits) {
        Err(error) => problems.push(Problem::from_error(&path, &error)),
        Ok(Some(view)) if image.as_ref().is_some_and(|i| i.size() != size_of(&view)) => {
            let message = format!("the field-of-view mask has {}x{} pixels", view.width(), view.height());
            problems.push(Problem::new(ProblemKind::WrongSize, &path, message));
        }
        Ok(_) => {}
    }
    let idle = sample.idle_polygons();
    if idle > 0 {
        let message = format!("{idle} polygons of {} fill no pixel", mask_path.display());
        problems.push(Problem::warning(ProblemKind::IdlePolygon, &path, message));
    }
    (image.as_ref().map(ImagePrint::new), problems)
}

fn double(first: &Sample, second: &Sample, pair: &DuplicatePair) -> Problem {
    let named = |s: &Sample| s.split.map_or("no split".to_owned(), |split| split.to_string());
    let other = format!("{} ({} and {})", path(first).display(), named(second), named(first));
    if pair.same_pixels {
        let problem = Problem::new(ProblemKind::Duplicate, &path(second), format!("the same pixels as {other}"));
        let severity = if first.split == second.split { Severity::Warning } else { Severity::Error };
        return Problem { severity, ..problem };
    }
    let mirrored = if pair.mirrored { "the mirror image of " } else { "" };
    let message = format!("nearly the same as {mirrored}{other}, correlation of detail {:.2}", pair.correlation);
    Problem::warning(ProblemKind::NearDuplicate, &path(second), message)
}

fn leaks(samples: &[Sample]) -> Vec<Problem> {
    let mut patients: BTreeMap<&str, BTreeMap<Split, &Sample>> = BTreeMap::new();
    for sample in samples {
        if let (Some(patient), Some(split)) = (&sample.patient, sample.split) {
            patients.entry(patient).or_default().entry(split).or_insert(sample);
        }
    }
    patients
        .into_iter()
        .filter(|(_, splits)| splits.len() > 1)
        .filter_map(|(patient, splits)| {
            let last = splits.values().last()?;
            let names: Vec<String> = splits.iter().map(|(split, s)| format!("{split} ({})", s.id)).collect();
            let message = format!("patient {patient} is in {}", names.join(" and "));
            Some(Problem::new(ProblemKind::PatientLeak, &path(last), message))
        })
        .collect()
}
