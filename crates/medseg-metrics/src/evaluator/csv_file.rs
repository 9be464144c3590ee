//! A report as CSV.

use super::number::Number;
use super::report::Report;
use crate::Result;
use std::io::Write;

impl Report {
    /// One row per case: id, patient, pixel counts, every metric, why metrics are undefined, and the lock's fingerprint.
    /// A metric that the policy leaves out is an empty cell. Under a protocol with ignored pixels their number follows the counts.
    ///
    /// # Errors
    /// When writing fails.
    pub fn write_csv(&self, writer: impl Write) -> Result<()> {
        let mut csv = csv::Writer::from_writer(writer);
        let columns = self.metrics().into_iter().map(|m| m.column(self.lock().protocol()));
        let with_ignored = usize::from(self.lock().protocol().ignored_pixels());
        let counts = ["true_positives", "false_positives", "false_negatives", "true_negatives", "ignored_pixels"];
        let counts = counts.into_iter().take(4 + with_ignored);
        let header = ["id", "patient"].into_iter().chain(counts).map(str::to_owned);
        csv.write_record(header.chain(columns).chain(["undefined".to_owned(), "lock".to_owned()]))?;
        for case in self.cases() {
            let o = case.overlap;
            let counts = [o.true_positives, o.false_positives, o.false_negatives, o.true_negatives, case.ignored];
            let counts = counts.into_iter().take(4 + with_ignored);
            let values = case.scores.iter().map(|(_, s)| s.value().map(|v| Number(v).to_string()).unwrap_or_default());
            let undefined: Vec<String> =
                case.undefined(self.lock().protocol()).into_iter().map(|(c, e)| format!("{c}: {e}")).collect();
            let record = [case.id.clone(), case.patient.clone()].into_iter().chain(counts.map(|n| n.to_string()));
            csv.write_record(record.chain(values).chain([undefined.join("; "), self.lock().fingerprint().to_owned()]))?;
        }
        csv.flush()?;
        Ok(())
    }
}
