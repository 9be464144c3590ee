//! Bootstrap of a mean over clusters: patients are drawn, and all of a patient's cases come along.

use super::moments::quantile;
use crate::{MetricsError, Result};
use rayon::prelude::*;
use std::collections::BTreeMap;

/// How to bootstrap.
#[derive(Debug, Clone, PartialEq)]
pub struct BootstrapOptions {
    /// Number of resamples; the interval is the pair of percentiles of their means.
    pub resamples: usize,
    /// Coverage of the interval, for example 0.95.
    pub confidence: f64,
    /// Draw `i` of resample `r` depends on (seed, r, i) alone, so results do not depend on the number of threads.
    pub seed: u64,
}

impl Default for BootstrapOptions {
    /// 10 000 resamples, 95 % coverage, seed 0.
    fn default() -> Self {
        Self { resamples: 10_000, confidence: 0.95, seed: 0 }
    }
}

impl BootstrapOptions {
    pub(crate) fn validate(&self) -> Result<()> {
        let refuse = |reason: String| Err(MetricsError::Statistics { statistic: "bootstrap", reason });
        if self.resamples == 0 {
            return refuse("at least one resample is needed".to_owned());
        }
        if !(self.confidence > 0.0 && self.confidence < 1.0) {
            return refuse(format!("confidence {} is not between 0 and 1", self.confidence));
        }
        Ok(())
    }
}

/// Values grouped by patient, in the order of the patients' names.
#[derive(Debug, Clone, PartialEq)]
pub struct Clusters {
    /// Sum and number of the values of each patient.
    totals: Vec<(f64, f64)>,
}

impl Clusters {
    /// Groups `values[i]` under `patients[i]`.
    ///
    /// # Errors
    /// When the two do not have the same length.
    pub fn new(patients: &[&str], values: &[f64]) -> Result<Self> {
        if patients.len() != values.len() {
            let reason = format!("{} patients for {} values", patients.len(), values.len());
            return Err(MetricsError::Statistics { statistic: "clusters", reason });
        }
        let mut totals: BTreeMap<&str, (f64, f64)> = BTreeMap::new();
        for (patient, value) in patients.iter().zip(values) {
            let total = totals.entry(patient).or_default();
            *total = (total.0 + value, total.1 + 1.0);
        }
        Ok(Self { totals: totals.into_values().collect() })
    }

    /// Number of patients.
    pub fn len(&self) -> usize {
        self.totals.len()
    }

    /// Whether there is no patient.
    pub fn is_empty(&self) -> bool {
        self.totals.is_empty()
    }

    /// Mean value of each patient.
    pub fn means(&self) -> Vec<f64> {
        self.totals.iter().map(|(sum, count)| sum / count).collect()
    }

    /// The mean of one resample; `stream` tells groups apart that are drawn for together.
    fn resampled_mean(&self, seed: u64, resample: u64, stream: u64) -> f64 {
        let n = self.len();
        let key = mix(seed ^ mix(resample) ^ stream.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let drawn = (0..n as u64).map(|i| self.totals[below(mix(key.wrapping_add(i)), n)]);
        let (sum, count) = drawn.fold((0.0, 0.0), |(s, c), (sum, count)| (s + sum, c + count));
        sum / count
    }
}

/// Percentile-bootstrap interval of the mean over all values, resampling patients; `None` below two patients, whose spread
/// cannot be known.
///
/// # Errors
/// When an option is unusable.
pub fn bootstrap_means(clusters: &Clusters, options: &BootstrapOptions) -> Result<Option<(f64, f64)>> {
    bootstrap_average(std::slice::from_ref(clusters), options)
}

/// Percentile-bootstrap interval of the average of several groups' means (the data sets of a table), each group counting once
/// whatever its size. Patients are resampled within their group. `None` where a group has fewer than two patients, or there is
/// no group.
///
/// # Errors
/// When an option is unusable.
pub fn bootstrap_average(groups: &[Clusters], options: &BootstrapOptions) -> Result<Option<(f64, f64)>> {
    options.validate()?;
    if groups.is_empty() || groups.iter().any(|group| group.len() < 2) {
        return Ok(None);
    }
    let means: Vec<f64> = (0..options.resamples as u64)
        .into_par_iter()
        .map(|resample| {
            let sum: f64 = (0..).zip(groups).map(|(at, group)| group.resampled_mean(options.seed, resample, at)).sum();
            sum / groups.len() as f64
        })
        .collect();
    let tail = (1.0 - options.confidence) / 2.0;
    Ok(Some((quantile(&means, tail), quantile(&means, 1.0 - tail))))
}

/// A well-mixed 64-bit word for every input (the finaliser of SplitMix64, Steele et al. 2014).
fn mix(input: u64) -> u64 {
    let mut z = input.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// A random word scaled to 0..n.
fn below(random: u64, n: usize) -> usize {
    ((u128::from(random) * n as u128) >> 64) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn draws_are_uniform() {
        let mut counts = [0u32; 7];
        (0..70_000u64).for_each(|i| counts[below(mix(mix(3).wrapping_add(i)), 7)] += 1);
        // Six degrees of freedom: 22.5 is exceeded once in a thousand seeds; this seed is fixed.
        let chi: f64 = counts.iter().map(|&c| (f64::from(c) - 1e4).powi(2) / 1e4).sum();
        assert!(chi < 22.5, "{counts:?}");
    }

    #[test]
    fn groups_count_once_each_and_are_drawn_apart() -> Result<()> {
        let group = |values: &[f64]| {
            let names: Vec<String> = (0..values.len()).map(|i| i.to_string()).collect();
            Clusters::new(&names.iter().map(String::as_str).collect::<Vec<_>>(), values)
        };
        let options = BootstrapOptions::default();
        let constant = bootstrap_average(&[group(&[0.2; 30])?, group(&[0.8; 3])?], &options)?;
        assert!(constant.is_some_and(|(low, high)| (low - 0.5).abs() < 1e-12 && (high - 0.5).abs() < 1e-12));
        let spread: Vec<f64> = (0..20).map(|i| f64::from(i % 2)).collect();
        let width = |groups: &[Clusters]| -> Result<f64> {
            Ok(bootstrap_average(groups, &options)?.map_or(0.0, |(low, high)| high - low))
        };
        // Draws of their own: two equal groups together are surer than one, by the root of two.
        let (one, two) = (width(&[group(&spread)?])?, width(&[group(&spread)?, group(&spread)?])?);
        assert!((one / two - 2f64.sqrt()).abs() < 0.1, "{one} {two}");
        assert_eq!(bootstrap_average(&[group(&spread)?, group(&[1.0])?], &options)?, None);
        assert_eq!(bootstrap_average(&[], &options)?, None);
        Ok(())
    }

    #[test]
    fn clusters_widen_the_interval() -> Result<()> {
        let values: Vec<f64> = (0..40).map(|i| f64::from(i / 10)).collect();
        let own: Vec<String> = (0..40).map(|i| i.to_string()).collect();
        let shared: Vec<String> = (0..40).map(|i| (i / 10).to_string()).collect();
        let width = |names: &[String]| -> Result<f64> {
            let names: Vec<&str> = names.iter().map(String::as_str).collect();
            let interval = bootstrap_means(&Clusters::new(&names, &values)?, &BootstrapOptions::default())?;
            Ok(interval.map_or(0.0, |(low, high)| high - low))
        };
        assert!(width(&shared)? > 2.0 * width(&own)?);
        Ok(())
    }
}
