//! A report as text.

use super::aggregate::Aggregate;
use super::compare::PairedComparison;
use super::report::Report;
use crate::Metric;
use std::fmt::Write;

/// Pads every column to its widest cell; the first is aligned to the left, the others to the right.
fn aligned(rows: &[Vec<String>]) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| rows.iter().filter_map(|r| r.get(column)).map(|c| c.chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let mut text = String::new();
    for row in rows {
        let cells =
            row.iter().zip(&widths).enumerate().map(|(at, (cell, &width))| {
                if at == 0 { format!("{cell:<width$}") } else { format!("{cell:>width$}") }
            });
        let line: Vec<String> = cells.collect();
        text.push_str(line.join("  ").trim_end());
        text.push('\n');
    }
    text
}

fn row<const N: usize>(cells: [&str; N]) -> Vec<String> {
    cells.map(str::to_owned).to_vec()
}

fn interval(bounds: Option<(f64, f64)>) -> String {
    bounds.map_or_else(|| "-".to_owned(), |(low, high)| format!("{low:.4} to {high:.4}"))
}

impl Report {
    /// The protocol, every aggregate, and, with several definitions, what each library would have said.
    ///
    /// ```
    /// # use medseg_metrics::*;
    /// let empty = EmptyPolicy::new(EmptyValue::ImageDiagonal, EmptyValue::Perfect);
    /// let evaluator = Evaluator::new(Protocol::new(Spacing::pixels(), Tolerance::Pixels(2.0), empty)?);
    /// let mask = Mask::from_fn(32, 32, |r, c| r.abs_diff(c) < 3)?;
    /// let report = evaluator.report(vec![evaluator.evaluate("a", None, &mask, &mask)?])?;
    /// let table = report.table(&report.aggregate(&BootstrapOptions::default())?);
    /// assert!(table.contains("hd95_max_directed_px"));
    /// # Ok::<(), medseg_metrics::MetricsError>(())
    /// ```
    pub fn table(&self, aggregates: &[Aggregate]) -> String {
        let protocol = self.lock().protocol();
        let mut text = String::new();
        let lock: Vec<String> =
            self.lock().fields().into_iter().map(|(name, value)| format!("{name} {value}")).collect();
        // Writing to a string cannot fail.
        let _ =
            writeln!(text, "{} cases, lock {}: {}\n", self.cases().len(), self.lock().fingerprint(), lock.join(", "));
        let mut rows =
            vec![row(["metric", "mean", "sd", "median", "interval of the mean", "cases", "skipped", "by policy"])];
        rows.extend(aggregates.iter().map(|a| {
            vec![
                a.metric.column(protocol),
                format!("{:.4}", a.mean),
                format!("{:.4}", a.standard_deviation),
                format!("{:.4}", a.median),
                interval(a.interval),
                a.cases.to_string(),
                a.skipped.to_string(),
                a.substituted.to_string(),
            ]
        }));
        text.push_str(&aligned(&rows));
        if protocol.definitions().len() > 1 {
            text.push('\n');
            text.push_str(&self.definitions_table(aggregates));
        }
        text
    }

    /// One line per definition: the same masks, as each library would have reported them.
    fn definitions_table(&self, aggregates: &[Aggregate]) -> String {
        let protocol = self.lock().protocol();
        let percentile = format!("HD{}", protocol.percentile());
        let with_policy = format!("{percentile} (policy)");
        let as_library = format!("{percentile} as the library averages it");
        let mut rows = vec![row(["definition", "HD", &with_policy, "ASSD", "NSD", &as_library, "used by"])];
        let mean = |metric: Metric| {
            let found = aggregates.iter().find(|a| a.metric == metric);
            found.map_or_else(|| "-".to_owned(), |a| format!("{:.3}", a.mean))
        };
        rows.extend(self.library_answers().into_iter().map(|(definition, answer)| {
            vec![
                definition.name().to_owned(),
                mean(Metric::Hausdorff(definition)),
                mean(Metric::HausdorffPercentile(definition)),
                mean(Metric::AverageSurfaceDistance(definition)),
                mean(Metric::SurfaceDice(definition)),
                answer.to_string(),
                definition.used_by().to_owned(),
            ]
        }));
        aligned(&rows)
    }

    /// The result of [`Report::compare`].
    pub fn comparison_table(&self, comparisons: &[PairedComparison]) -> String {
        let header =
            row(["metric", "difference", "interval", "p", "p (Holm)", "detectable", "patients", "cases", "skipped"]);
        let probability = |p: Option<f64>| p.map_or_else(|| "-".to_owned(), |p| format!("{p:.2e}"));
        let mut rows = vec![header];
        rows.extend(comparisons.iter().map(|c| {
            vec![
                c.metric.column(self.lock().protocol()),
                format!("{:+.4}", c.mean_difference),
                interval(c.interval),
                probability(c.p_value),
                probability(c.adjusted_p_value),
                c.minimum_detectable_difference.map_or_else(|| "-".to_owned(), |d| format!("{d:.4}")),
                c.patients.to_string(),
                c.cases.to_string(),
                c.skipped.to_string(),
            ]
        }));
        aligned(&rows)
    }
}
