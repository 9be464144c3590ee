//! Per-case results of one evaluation, to and from files.

use super::{Aggregate, Case, Lock};
use crate::{Emptiness, Metric, MetricsError, Overlap, Result, Score, Segment};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::collections::{BTreeMap, HashSet};
use std::io::{Read, Write};

/// The cases of one evaluation under one lock.
#[derive(Debug, Clone, PartialEq)]
pub struct Report {
    lock: Lock,
    cases: Vec<Case>,
}

impl Report {
    pub(super) fn new(lock: Lock, cases: Vec<Case>) -> Result<Self> {
        let mut seen = HashSet::new();
        if let Some(twice) = cases.iter().find(|case| !seen.insert(&case.id)) {
            return Err(MetricsError::DuplicateCase(twice.id.clone()));
        }
        Ok(Self { lock, cases })
    }

    /// What the results were made with.
    pub fn lock(&self) -> &Lock {
        &self.lock
    }

    /// The cases, in the order of evaluation.
    pub fn cases(&self) -> &[Case] {
        &self.cases
    }

    /// The metrics of every case, in the order of output columns.
    pub fn metrics(&self) -> Vec<Metric> {
        Metric::all(self.lock.protocol())
    }

    /// The cases of both reports.
    ///
    /// # Errors
    /// When the locks differ, or a case is in both.
    pub fn merge(mut self, other: Self) -> Result<Self> {
        self.lock.require_equal(&other.lock)?;
        self.cases.extend(other.cases);
        Self::new(self.lock, self.cases)
    }

    /// One row per case: id, patient, pixel counts, every metric, why metrics are undefined, and the lock's fingerprint.
    /// A metric that the policy leaves out is an empty cell.
    ///
    /// # Errors
    /// When writing fails.
    pub fn write_csv(&self, writer: impl Write) -> Result<()> {
        let mut csv = csv::Writer::from_writer(writer);
        let columns = self.metrics().into_iter().map(|m| m.column(self.lock.protocol()));
        let counts = ["true_positives", "false_positives", "false_negatives", "true_negatives"];
        let header = ["id", "patient"].into_iter().chain(counts).map(str::to_owned);
        csv.write_record(header.chain(columns).chain(["undefined".to_owned(), "lock".to_owned()]))?;
        for case in &self.cases {
            let o = case.overlap;
            let counts = [o.true_positives, o.false_positives, o.false_negatives, o.true_negatives];
            let values = case.scores.iter().map(|(_, s)| s.value().map(|v| Number(v).to_string()).unwrap_or_default());
            let undefined: Vec<String> =
                undefined(case, &self.lock).into_iter().map(|(c, e)| format!("{c}: {e}")).collect();
            let record = [case.id.clone(), case.patient.clone()].into_iter().chain(counts.map(|n| n.to_string()));
            csv.write_record(record.chain(values).chain([undefined.join("; "), self.lock.fingerprint().to_owned()]))?;
        }
        csv.flush()?;
        Ok(())
    }

    /// The lock, the cases with their segments, and the given aggregates, as JSON. Numbers that JSON lacks are the strings
    /// `NaN`, `inf` and `-inf`; a metric that the policy leaves out is null.
    ///
    /// # Errors
    /// When writing fails.
    pub fn write_json(&self, writer: impl Write, aggregates: &[Aggregate]) -> Result<()> {
        let protocol = self.lock.protocol();
        let aggregates: BTreeMap<String, &Aggregate> =
            aggregates.iter().map(|a| (a.metric.column(protocol), a)).collect();
        let mut writer = writer;
        // One line per case: a file of a thousand cases stays readable and a fraction of its indented size.
        write!(writer, "{{\n\"lock\": {},\n", serde_json::to_string_pretty(&self.lock)?)?;
        write!(writer, "\"aggregates\": {},\n\"cases\": [", serde_json::to_string_pretty(&aggregates)?)?;
        for (at, case) in self.cases.iter().enumerate() {
            writer.write_all(if at == 0 { b"\n" } else { b",\n" })?;
            serde_json::to_writer(&mut writer, &CaseFile::new(case, &self.lock))?;
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

/// Columns of the metrics that are undefined for a case, with the reason.
fn undefined(case: &Case, lock: &Lock) -> BTreeMap<String, Emptiness> {
    let causes = case.scores.iter().filter_map(|(m, s)| Some((m.column(lock.protocol()), s.cause()?)));
    causes.collect()
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
            metrics: case.scores.iter().map(value).collect(),
            undefined: undefined(case, lock),
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
        Ok(Case { id: self.id, patient: self.patient, overlap: self.overlap, scores, missed, spurious })
    }
}

/// A number that survives JSON even when it is not finite.
#[derive(Clone, Copy)]
pub(super) struct Number(pub(super) f64);

impl std::fmt::Display for Number {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.0)
    }
}

impl Serialize for Number {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.0.is_finite() { serializer.serialize_f64(self.0) } else { serializer.serialize_str(&self.to_string()) }
    }
}

impl<'de> Deserialize<'de> for Number {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Stored {
            Number(f64),
            Name(String),
        }
        match Stored::deserialize(deserializer)? {
            Stored::Number(value) => Ok(Self(value)),
            Stored::Name(name) => match name.as_str() {
                "NaN" => Ok(Self(f64::NAN)),
                "inf" => Ok(Self(f64::INFINITY)),
                "-inf" => Ok(Self(f64::NEG_INFINITY)),
                other => Err(serde::de::Error::custom(format!("expected a number, NaN, inf or -inf, found {other:?}"))),
            },
        }
    }
}

/// Serialises a float as [`Number`].
pub(super) fn number<S: Serializer>(value: &f64, serializer: S) -> Result<S::Ok, S::Error> {
    Number(*value).serialize(serializer)
}

/// Serialises an interval as two [`Number`]s, or null.
pub(super) fn interval<S: Serializer>(value: &Option<(f64, f64)>, serializer: S) -> Result<S::Ok, S::Error> {
    value.map(|(low, high)| [Number(low), Number(high)]).serialize(serializer)
}
