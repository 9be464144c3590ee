//! What a data set contains, in numbers.

use crate::dataset::{Dataset, Loaded, Sample};
use crate::decode::{Limits, MaskPolicy};
use crate::error::Result;
use medseg_metrics::{Connectivity, Spacing, count_components, vessel_widths};
use rayon::prelude::*;
use serde::Serialize;
use std::collections::BTreeMap;

/// Five numbers of a distribution over samples, or over pixels where the field says so.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Distribution {
    /// Smallest value.
    pub min: f64,
    /// 5th percentile.
    pub low: f64,
    /// Median.
    pub median: f64,
    /// 95th percentile.
    pub high: f64,
    /// Largest value.
    pub max: f64,
    /// Mean.
    pub mean: f64,
}

impl Distribution {
    /// `None` without values. Percentiles are interpolated linearly.
    fn of(mut values: Vec<f64>) -> Option<Self> {
        values.sort_by(f64::total_cmp);
        let (&min, &max) = (values.first()?, values.last()?);
        let at = |share: f64| {
            let position = share * (values.len() - 1) as f64;
            let below = position as usize;
            let above = (below + 1).min(values.len() - 1);
            values[below] + (values[above] - values[below]) * (position - below as f64)
        };
        let mean = values.iter().sum::<f64>() / values.len() as f64;
        Some(Self { min, low: at(0.05), median: at(0.5), high: at(0.95), max, mean })
    }
}

impl std::fmt::Display for Distribution {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { min, low, median, high, max, mean } = self;
        write!(f, "median {median:.3}, mean {mean:.3}, 5-95 % {low:.3} to {high:.3}, range {min:.3} to {max:.3}")
    }
}

/// What a data set contains. Lengths are in pixels of the original images.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Fingerprint {
    /// Samples.
    pub samples: usize,
    /// Samples by split; `none` where a sample has none.
    pub splits: BTreeMap<String, usize>,
    /// Patients, where names tell.
    pub patients: usize,
    /// Samples by size, `width x height`.
    pub sizes: BTreeMap<String, usize>,
    /// Samples by number of channels.
    pub channels: BTreeMap<usize, usize>,
    /// Mean grey value of a sample, 0 to 255.
    pub intensity: Option<Distribution>,
    /// Standard deviation of grey values within a sample.
    pub contrast: Option<Distribution>,
    /// Mean grey value of the foreground less that of its surroundings (background within 8 pixels): negative where vessels are
    /// dark.
    pub vessel_contrast: Option<Distribution>,
    /// Share of foreground pixels of a sample, 0 to 1.
    pub foreground: Option<Distribution>,
    /// Vessel width at all pixels of all centre lines, in pixels.
    pub vessel_width: Option<Distribution>,
    /// Length of the centre lines of a sample, in pixels of the skeleton.
    pub skeleton_length: Option<Distribution>,
    /// Connected components of a mask (8-connected).
    pub components: Option<Distribution>,
}

struct Facts {
    size: (usize, usize),
    channels: usize,
    intensity: f64,
    contrast: f64,
    vessel_contrast: Option<f64>,
    foreground: f64,
    widths: Vec<f64>,
    components: f64,
}

/// Decodes everything and describes it. Empty masks are counted in, not refused.
///
/// # Errors
/// The first sample that cannot be loaded; run [`verify`](super::verify) for all of them.
pub fn fingerprint(dataset: &Dataset, limits: &Limits) -> Result<Fingerprint> {
    let facts: Vec<Facts> = dataset.samples.par_iter().map(|s| facts(s, limits)).collect::<Result<_>>()?;
    let mut splits = BTreeMap::new();
    for sample in &dataset.samples {
        *splits.entry(sample.split.map_or("none".to_owned(), |s| s.to_string())).or_insert(0) += 1;
    }
    let patients: std::collections::BTreeSet<&str> =
        dataset.samples.iter().filter_map(|s| s.patient.as_deref()).collect();
    let (mut sizes, mut channels) = (BTreeMap::new(), BTreeMap::new());
    for fact in &facts {
        *sizes.entry(format!("{}x{}", fact.size.0, fact.size.1)).or_insert(0) += 1;
        *channels.entry(fact.channels).or_insert(0) += 1;
    }
    let over = |pick: fn(&Facts) -> f64| Distribution::of(facts.iter().map(pick).collect());
    Ok(Fingerprint {
        samples: facts.len(),
        splits,
        patients: patients.len(),
        sizes,
        channels,
        intensity: over(|f| f.intensity),
        contrast: over(|f| f.contrast),
        vessel_contrast: Distribution::of(facts.iter().filter_map(|f| f.vessel_contrast).collect()),
        foreground: over(|f| f.foreground),
        vessel_width: Distribution::of(facts.iter().flat_map(|f| f.widths.iter().copied()).collect()),
        skeleton_length: over(|f| f.widths.len() as f64),
        components: over(|f| f.components),
    })
}

fn facts(sample: &Sample, limits: &Limits) -> Result<Facts> {
    let policy = MaskPolicy { allow_empty: true, ..MaskPolicy::default() };
    let Loaded { image, mask, .. } = sample.load_with(limits, &policy)?;
    let grey = image.to_grey();
    let (mut sum, mut square) = (0f64, 0f64);
    let mut parts = [(0f64, 0usize); 2];
    let bytes = mask.to_bytes();
    let near = surroundings(&bytes, mask.width(), mask.height());
    for ((&value, &label), &near) in grey.data().iter().zip(&bytes).zip(&near) {
        let value = f64::from(value);
        sum += value;
        square += value * value;
        if near {
            let part = &mut parts[label as usize];
            *part = (part.0 + value, part.1 + 1);
        }
    }
    let count = grey.data().len() as f64;
    let mean = sum / count;
    let [background, foreground] = parts.map(|(sum, n)| (n > 0).then(|| sum / n as f64));
    Ok(Facts {
        size: image.size(),
        channels: image.channels(),
        intensity: mean,
        contrast: (square / count - mean * mean).max(0.0).sqrt(),
        vessel_contrast: foreground.zip(background).map(|(f, b)| f - b),
        foreground: mask.count() as f64 / count,
        widths: vessel_widths(&mask, Spacing::pixels()).into_iter().map(|(_, width)| width).collect(),
        components: count_components(&mask, Connectivity::Eight) as f64,
    })
}

/// Pixels with foreground within 8 pixels, columns and rows apart.
fn surroundings(mask: &[u8], width: usize, height: usize) -> Vec<bool> {
    const REACH: usize = 8;
    let spread = |line: &mut dyn Iterator<Item = bool>| {
        let marks: Vec<usize> = line.enumerate().filter(|(_, on)| *on).map(|(i, _)| i).collect();
        move |length: usize| {
            let mut out = vec![false; length];
            for mark in marks {
                out[mark.saturating_sub(REACH)..(mark + REACH + 1).min(length)].fill(true);
            }
            out
        }
    };
    let mut near = Vec::with_capacity(mask.len());
    for row in mask.chunks_exact(width) {
        near.extend(spread(&mut row.iter().map(|v| *v == 1))(width));
    }
    for x in 0..width {
        let column = spread(&mut near.iter().skip(x).step_by(width).copied())(height);
        near.iter_mut().skip(x).step_by(width).zip(column).for_each(|(n, c)| *n = c);
    }
    near
}
