//! Two methods on the same cases.

use super::case::Case;
use super::number;
use super::report::Report;
use crate::statistics::{
    BootstrapOptions, Clusters, bootstrap_means, holm, mean, minimum_detectable_difference, standard_deviation,
    wilcoxon_signed_rank,
};
use crate::{Metric, MetricsError, Result};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// Options of [`Report::compare`].
#[derive(Debug, Clone, PartialEq)]
pub struct CompareOptions {
    /// Metrics to compare; the Holm correction covers exactly these.
    pub metrics: Vec<Metric>,
    /// Bootstrap of the mean difference; `1 - confidence` is also the significance level of the detectable difference.
    pub bootstrap: BootstrapOptions,
    /// Power at which the detectable difference is stated, for example 0.8.
    pub power: f64,
}

/// One metric of two methods, case by case: differences are second minus first.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PairedComparison {
    /// The metric.
    #[serde(skip)]
    pub metric: Metric,
    /// Cases that both methods have a value for.
    pub cases: usize,
    /// Patients among them.
    pub patients: usize,
    /// Cases left out because the policy skips one side.
    pub skipped: usize,
    /// Mean difference over cases.
    #[serde(serialize_with = "number::number")]
    pub mean_difference: f64,
    /// Its bootstrap interval, resampling patients; `None` below two patients.
    #[serde(serialize_with = "number::interval")]
    pub interval: Option<(f64, f64)>,
    /// Two-sided p of Wilcoxon's signed-rank test on the patients' mean differences; `None` when every difference is 0 or
    /// one is NaN.
    pub p_value: Option<f64>,
    /// The same after Holm's correction over all metrics compared.
    pub adjusted_p_value: Option<f64>,
    /// Whether the p-value is exact (few patients) or from the normal approximation.
    pub exact: bool,
    /// Smallest mean difference that a study of this size would find with the chosen power; `None` below two patients or
    /// when a difference is not finite.
    pub minimum_detectable_difference: Option<f64>,
}

impl Report {
    /// Compares a second method with this one on the same cases.
    ///
    /// # Errors
    /// When the locks differ, the cases or their patients differ, a metric was not computed, or an option is unusable.
    pub fn compare(&self, second: &Self, options: &CompareOptions) -> Result<Vec<PairedComparison>> {
        self.lock().require_equal(second.lock())?;
        options.bootstrap.validate()?;
        let others = self.paired_cases(second)?;
        let mut results = Vec::with_capacity(options.metrics.len());
        for &metric in &options.metrics {
            let (mut patients, mut differences, mut skipped) = (Vec::new(), Vec::new(), 0);
            for case in self.cases() {
                let missing = MetricsError::MetricNotComputed(metric);
                let first = case.score(metric).ok_or(missing)?;
                let other = others[case.id.as_str()].score(metric).ok_or(MetricsError::MetricNotComputed(metric))?;
                match (first.value(), other.value()) {
                    (Some(a), Some(b)) => {
                        patients.push(case.patient.as_str());
                        // Two equal infinities do not differ; their subtraction would be NaN.
                        differences.push(if a == b { 0.0 } else { b - a });
                    }
                    _ => skipped += 1,
                }
            }
            let clusters = Clusters::new(&patients, &differences)?;
            let by_patient = clusters.means();
            let test = wilcoxon_signed_rank(&by_patient);
            let spread = standard_deviation(&by_patient);
            let detectable = if spread.is_finite() {
                let alpha = 1.0 - options.bootstrap.confidence;
                Some(minimum_detectable_difference(spread, by_patient.len(), alpha, options.power)?)
            } else {
                None
            };
            results.push(PairedComparison {
                metric,
                cases: differences.len(),
                patients: clusters.len(),
                skipped,
                mean_difference: mean(&differences),
                interval: bootstrap_means(&clusters, &options.bootstrap)?,
                p_value: test.map(|t| t.p_value),
                adjusted_p_value: None,
                exact: test.is_some_and(|t| t.exact),
                minimum_detectable_difference: detectable,
            });
        }
        let known: Vec<f64> = results.iter().filter_map(|r| r.p_value).collect();
        let mut adjusted = holm(&known).into_iter();
        for result in results.iter_mut().filter(|r| r.p_value.is_some()) {
            result.adjusted_p_value = adjusted.next();
        }
        Ok(results)
    }

    /// The cases of `second` by id, which must be those of this report.
    fn paired_cases<'a>(&self, second: &'a Self) -> Result<BTreeMap<&'a str, &'a Case>> {
        let others: BTreeMap<&str, &Case> = second.cases().iter().map(|c| (c.id.as_str(), c)).collect();
        let ids: BTreeSet<&str> = self.cases().iter().map(|c| c.id.as_str()).collect();
        let missing = |from: &mut dyn Iterator<Item = &str>| from.map(str::to_owned).collect::<Vec<_>>();
        let only_first = missing(&mut ids.iter().copied().filter(|id| !others.contains_key(id)));
        let only_second = missing(&mut others.keys().copied().filter(|id| !ids.contains(id)));
        if !only_first.is_empty() || !only_second.is_empty() {
            return Err(MetricsError::UnpairedCases { only_first, only_second });
        }
        for case in self.cases() {
            let other = others[case.id.as_str()];
            if case.patient != other.patient {
                let (first, second) = (case.patient.clone(), other.patient.clone());
                return Err(MetricsError::PatientMismatch { case: case.id.clone(), first, second });
            }
        }
        Ok(others)
    }
}
