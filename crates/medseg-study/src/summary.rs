//! From cells to means and differences, with intervals that respect patients.

use crate::error::Result;
use crate::results::{CellResult, Results};
use medseg_metrics::BootstrapOptions;
use medseg_metrics::statistics::{Clusters, bootstrap_average, wilcoxon_signed_rank};
use std::collections::BTreeMap;

/// One metric of one method on one data set, over cases and seeds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Summary {
    /// Mean over cases (each case first averaged over seeds).
    pub mean: f64,
    /// 95 % bootstrap interval of the mean, resampling patients; absent below two patients.
    pub interval: Option<(f64, f64)>,
    /// Test images.
    pub cases: usize,
    /// Seeds.
    pub seeds: usize,
}

/// A case's value averaged over seeds, with its patient.
type Averages<'a> = BTreeMap<&'a str, (&'a str, f64)>;

fn averages<'a>(cells: &[&'a CellResult], metric: &str) -> Averages<'a> {
    let mut sums: BTreeMap<&str, (&str, f64, usize)> = BTreeMap::new();
    for case in cells.iter().flat_map(|cell| &cell.cases) {
        if let Some(value) = case.values.get(metric) {
            let entry = sums.entry(&case.id).or_insert((&case.patient, 0.0, 0));
            entry.1 += value;
            entry.2 += 1;
        }
    }
    sums.into_iter().map(|(id, (patient, sum, count))| (id, (patient, sum / count as f64))).collect()
}

/// Patients and values of one data set.
type Values<'a> = (Vec<&'a str>, Vec<f64>);

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

/// The average of the data sets' means, and its interval.
fn average(groups: &[Values<'_>]) -> Result<(f64, Option<(f64, f64)>)> {
    let means: Vec<f64> = groups.iter().map(|(_, values)| mean(values)).collect();
    let clusters = groups.iter().map(|(patients, values)| Clusters::new(patients, values));
    let clusters = clusters.collect::<medseg_metrics::Result<Vec<Clusters>>>()?;
    Ok((mean(&means), bootstrap_average(&clusters, &BootstrapOptions::default())?))
}

/// The values of a method on some data sets; nothing where one of them has none.
fn values<'a>(results: &'a Results, datasets: &[&str], method: &str, metric: &str) -> Option<Vec<Values<'a>>> {
    let of_one = |dataset: &&str| {
        let averages = averages(&of(results, dataset, method), metric);
        (!averages.is_empty()).then(|| averages.into_values().unzip())
    };
    datasets.iter().map(of_one).collect()
}

/// The differences of two methods' Dice on the images of a data set that both have; nothing where there is none.
fn differences<'a>(results: &'a Results, dataset: &str, left: &str, right: &str) -> Option<Values<'a>> {
    let (left, right) = (of(results, dataset, left), of(results, dataset, right));
    let theirs = averages(&right, "dice");
    let pairs: Values<'a> = averages(&left, "dice")
        .iter()
        .filter_map(|(id, (patient, value))| Some((*patient, value - theirs.get(id)?.1)))
        .unzip();
    (!pairs.1.is_empty()).then_some(pairs)
}

impl Summary {
    /// The summary of some cells (the seeds of one method on one data set); nothing where no case has the metric.
    ///
    /// # Errors
    /// None in practice: the statistics get what they need.
    pub fn of(cells: &[&CellResult], metric: &str) -> Result<Option<Self>> {
        let averages = averages(cells, metric);
        if averages.is_empty() {
            return Ok(None);
        }
        let values: Values<'_> = averages.into_values().unzip();
        let cases = values.1.len();
        let (mean, interval) = average(&[values])?;
        Ok(Some(Self { mean, interval, cases, seeds: cells.len() }))
    }

    /// The average of a method's means over some data sets, each counting once; nothing where one of them has no case. The
    /// interval resamples the patients of each set.
    ///
    /// # Errors
    /// As [`of`](Self::of).
    pub fn over(results: &Results, datasets: &[&str], method: &str, metric: &str) -> Result<Option<Self>> {
        let Some(groups) = values(results, datasets, method, metric).filter(|groups| !groups.is_empty()) else {
            return Ok(None);
        };
        let cases = groups.iter().map(|(_, values)| values.len()).sum();
        let cells = datasets.iter().map(|dataset| of(results, dataset, method).len());
        let (mean, interval) = average(&groups)?;
        Ok(Some(Self { mean, interval, cases, seeds: cells.min().unwrap_or(0) }))
    }

    pub(crate) fn text(&self, digits: usize) -> String {
        match self.interval {
            Some((low, high)) => format!("{:.digits$} [{low:.digits$}, {high:.digits$}]", self.mean),
            None => format!("{:.digits$}", self.mean),
        }
    }
}

/// The seeds of one method on one data set.
pub(crate) fn of<'a>(results: &'a Results, dataset: &str, method: &str) -> Vec<&'a CellResult> {
    results.cells.iter().filter(|cell| cell.dataset == dataset && cell.method == method).collect()
}

/// A method's Dice minus another's on the same test images, each image first averaged over the seeds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PairedDifference {
    /// Mean over the images.
    pub mean: f64,
    /// 95 % bootstrap interval of the mean, resampling patients; absent below two patients.
    pub interval: Option<(f64, f64)>,
    /// Wilcoxon signed-rank test over patients, two-sided, not corrected; absent where it says nothing.
    pub p_value: Option<f64>,
}

impl PairedDifference {
    /// Method `left` minus method `right` (ids) on a data set; nothing where they share no image.
    ///
    /// # Errors
    /// None in practice: the statistics get what they need.
    pub fn of(results: &Results, dataset: &str, left: &str, right: &str) -> Result<Option<Self>> {
        let Some((patients, values)) = differences(results, dataset, left, right) else { return Ok(None) };
        let clusters = Clusters::new(&patients, &values)?;
        let p_value = wilcoxon_signed_rank(&clusters.means()).map(|test| test.p_value);
        let (mean, interval) = average(&[(patients, values)])?;
        Ok(Some(Self { mean, interval, p_value }))
    }

    /// The average of the differences over some data sets, each counting once, without a test; nothing where they share no image
    /// on one of them.
    ///
    /// # Errors
    /// As [`of`](Self::of).
    pub fn over(results: &Results, datasets: &[&str], left: &str, right: &str) -> Result<Option<Self>> {
        let groups = datasets.iter().map(|dataset| differences(results, dataset, left, right));
        let Some(groups) = groups.collect::<Option<Vec<_>>>().filter(|groups| !groups.is_empty()) else {
            return Ok(None);
        };
        let (mean, interval) = average(&groups)?;
        Ok(Some(Self { mean, interval, p_value: None }))
    }

    /// Whether the interval leaves 0 out.
    pub fn is_clear(&self) -> bool {
        self.interval.is_some_and(|(low, high)| low > 0.0 || high < 0.0)
    }

    pub(crate) fn text(&self) -> String {
        match self.interval {
            Some((low, high)) => format!("{:+.3} [{low:+.3}, {high:+.3}]", self.mean),
            None => format!("{:+.3}", self.mean),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use medseg_train::evaluate::CaseScore;

    fn cell(seed: u64, values: &[f64]) -> CellResult {
        let case = |(index, value): (usize, &f64)| CaseScore {
            id: format!("c{index}"),
            patient: format!("p{}", index / 2),
            values: BTreeMap::from([("dice".to_string(), *value)]),
        };
        CellResult {
            dataset: "d".into(),
            method: "m".into(),
            seed,
            identity: String::new(),
            grid: Vec::new(),
            learning_rate: None,
            steps: 0,
            seconds: 0.0,
            cases: values.iter().enumerate().map(case).collect(),
            metrics: String::new(),
            overlays: Vec::new(),
            config: String::new(),
            best_of_each: None,
        }
    }

    #[test]
    fn seeds_are_averaged_per_case_before_anything_else() {
        let (a, b) = (cell(0, &[0.2, 0.4, 0.6, 0.8]), cell(1, &[0.4, 0.6, 0.8, 1.0]));
        let summary = Summary::of(&[&a, &b], "dice").unwrap().unwrap();
        assert!((summary.mean - 0.6).abs() < 1e-12);
        assert_eq!((summary.cases, summary.seeds), (4, 2));
        let (low, high) = summary.interval.unwrap();
        // Two patients: resamples are (p0, p0), (p0, p1), (p1, p1).
        assert!((low - 0.4).abs() < 1e-12 && (high - 0.8).abs() < 1e-12, "{low} {high}");
        assert!(Summary::of(&[&a], "hd95").unwrap().is_none());
    }
}
