//! A report to JSON and back.

use super::aggregate::Aggregate;
use super::case::Case;
use super::lock::Lock;
use super::number::Number;
use super::report::Report;
use crate::{Emptiness, Metric, MetricsError, Overlap, Result, Score, Segment};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::io::{Read, Write};

impl Report {
    /// The lock, the cases with their segments, and the given aggregates, as JSON. Numbers that JSON lacks are the strings
    /// `NaN`, `inf` and `-inf`; a metric that the policy leaves out is null.
    ///
    /// # Errors
    /// When writing fails.
    pub fn write_json(&self, writer: impl Write, aggregates: &[Aggregate]) -> Result<()> {
        let protocol = self.lock().protocol();
        let aggregates: BTreeMap<String, &Aggregate> =
            aggregates.iter().map(|a| (a.metric.column(protocol), a)).collect();
        let mut writer = writer;
        // One line per case: a file of a thousand cases stays readable and a fraction of its indented size.
        write!(writer, "{{\n\"lock\": {},\n", serde_json::to_string_pretty(self.lock())?)?;
        write!(writer, "\"aggregates\": {},\n\"cases\": [", serde_json::to_string_pretty(&aggregates)?)?;
        for (at, case) in self.cases().iter().enumerate() {
            writer.write_all(if at == 0 { b"\n" } else { b",\n" })?;
            serde_json::to_writer(&mut writer, &CaseFile::new(case, self.lock()))?;
        }
        writer.write_all(b"\n]\n}\n")?;
        Ok(())
    }

    /// Reads what [`Report::write_json`] wrote, every number to the last bit; the aggregates are not read, they follow from
    /// the cases.
    ///
    /// # Errors
    /// When the text is not such a report, its lock was edited, or a metric is missing or unknown.
    pub fn read_json(reader: impl Read) -> Result<Self> {
        let file: StoredReport = serde_json::from_reader(reader)?;
        file.lock.verify()?;
        let metrics = Metric::all(file.lock.protocol());
        let cases = file.cases.into_iter().map(|case| case.into_case(&metrics, &file.lock)).collect::<Result<_>>()?;
        Self::new(file.lock, cases)
    }
}

#[derive(Deserialize)]
struct StoredReport {
    lock: Lock,
    cases: Vec<CaseFile>,
}

#[derive(Serialize, Deserialize)]
struct CaseFile {
    id: String,
    patient: String,
    #[serde(flatten)]
    overlap: Overlap,
    #[serde(default, skip_serializing_if = "is_zero")]
    ignored_pixels: u64,
    metrics: BTreeMap<String, Option<Number>>,
    undefined: BTreeMap<String, Emptiness>,
    missed: Vec<Segment>,
    spurious: Vec<Segment>,
}

impl CaseFile {
    fn new(case: &Case, lock: &Lock) -> Self {
        let value = |(m, s): &(Metric, Score)| (m.column(lock.protocol()), s.value().map(Number));
        Self {
            id: case.id.clone(),
            patient: case.patient.clone(),
            overlap: case.overlap,
            ignored_pixels: case.ignored,
            metrics: case.scores.iter().map(value).collect(),
            undefined: case.undefined(lock.protocol()),
            missed: case.missed.clone(),
            spurious: case.spurious.clone(),
        }
    }

    fn into_case(mut self, metrics: &[Metric], lock: &Lock) -> Result<Case> {
        let mut scores = Vec::with_capacity(metrics.len());
        for &metric in metrics {
            let column = metric.column(lock.protocol());
            let value = self.metrics.remove(&column).ok_or(MetricsError::MetricNotComputed(metric))?.map(|n| n.0);
            let score = match (value, self.undefined.get(&column).copied()) {
                (Some(value), None) => Score::Defined(value),
                (Some(value), Some(cause)) => Score::Substituted { value, cause },
                (None, Some(cause)) => Score::Skipped { cause },
                (None, None) => return Err(MetricsError::MetricNotComputed(metric)),
            };
            scores.push((metric, score));
        }
        if let Some(unknown) = self.metrics.into_keys().next() {
            return Err(MetricsError::UnknownName {
                what: "metric",
                found: unknown,
                expected: "only the metrics of the report's protocol".to_owned(),
            });
        }
        let (missed, spurious) = (self.missed, self.spurious);
        let (overlap, ignored) = (self.overlap, self.ignored_pixels);
        Ok(Case { id: self.id, patient: self.patient, overlap, ignored, scores, missed, spurious })
    }
}

fn is_zero(pixels: &u64) -> bool {
    *pixels == 0
}
