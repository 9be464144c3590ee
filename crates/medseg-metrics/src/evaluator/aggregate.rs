//! Summaries of one metric over the cases of a report.

use super::number;
use super::report::Report;
use crate::statistics::{BootstrapOptions, Clusters, bootstrap_means, mean, median, standard_deviation};
use crate::{Metric, Result};
use serde::Serialize;

/// One metric over all cases.
///
/// Infinite values stay infinite and NaN stays NaN in the mean: nothing is dropped silently. What the policy skips is
/// counted in `skipped`, and what it replaced in `substituted`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Aggregate {
    /// The metric.
    #[serde(skip)]
    pub metric: Metric,
    /// Cases with a value.
    pub cases: usize,
    /// Patients among them.
    pub patients: usize,
    /// Cases that the policy left out.
    pub skipped: usize,
    /// Cases whose value comes from the policy.
    pub substituted: usize,
    /// Mean over cases.
    #[serde(serialize_with = "number::number")]
    pub mean: f64,
    /// Sample standard deviation (n - 1); NaN below two cases.
    #[serde(serialize_with = "number::number")]
    pub standard_deviation: f64,
    /// Median.
    #[serde(serialize_with = "number::number")]
    pub median: f64,
    /// Confidence interval of the mean, resampling patients; `None` below two patients.
    #[serde(serialize_with = "number::interval")]
    pub interval: Option<(f64, f64)>,
}

impl Report {
    /// Every metric over all cases, with bootstrap intervals clustered by patient.
    ///
    /// # Errors
    /// When an option is unusable.
    pub fn aggregate(&self, options: &BootstrapOptions) -> Result<Vec<Aggregate>> {
        options.validate()?;
        self.metrics().into_iter().map(|metric| self.aggregate_one(metric, options)).collect()
    }

    fn aggregate_one(&self, metric: Metric, options: &BootstrapOptions) -> Result<Aggregate> {
        let scored: Vec<_> = self.cases().iter().filter_map(|case| Some((case, case.score(metric)?))).collect();
        let (patients, values): (Vec<&str>, Vec<f64>) =
            scored.iter().filter_map(|(case, score)| Some((case.patient.as_str(), score.value()?))).unzip();
        let clusters = Clusters::new(&patients, &values)?;
        Ok(Aggregate {
            metric,
            cases: values.len(),
            patients: clusters.len(),
            skipped: scored.len() - values.len(),
            substituted: scored.iter().filter(|(_, s)| s.cause().is_some() && s.value().is_some()).count(),
            mean: mean(&values),
            standard_deviation: standard_deviation(&values),
            median: median(&values),
            interval: bootstrap_means(&clusters, options)?,
        })
    }
}
