//! The split table that may lie in a folder of images and masks.

use super::Found;
use crate::check::{Problem, ProblemKind};
use crate::dataset::assign::rows_by_id;
use crate::decode::read_limited;
use crate::error::{DataError, Result};
use crate::split::read_records;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

const TABLES: [&str; 2] = ["data_split.csv", "split.csv"];
const LARGEST_TABLE: u64 = 64 << 20;

/// Gives the samples their splits and patients, if the folder has a table.
pub(super) fn apply(root: &Path, found: &mut Found) -> Result<()> {
    let tables: Vec<PathBuf> = TABLES.iter().map(|name| root.join(name)).filter(|p| p.is_file()).collect();
    match tables.as_slice() {
        [] => Ok(()),
        [table] => apply_table(table, found),
        [first, second, ..] => {
            let message = format!("{} is there too", first.display());
            found.problems.push(Problem::new(ProblemKind::Ambiguous, second, message));
            Ok(())
        }
    }
}

fn apply_table(path: &Path, found: &mut Found) -> Result<()> {
    let fail = |reason: String| DataError::Split { path: path.to_owned(), reason };
    let records = read_records(path, &read_limited(path, LARGEST_TABLE)?)?;
    let mut first: BTreeMap<&str, u64> = BTreeMap::new();
    for record in &records {
        if let Some(before) = first.insert(&record.id, record.line) {
            return Err(fail(format!("lines {before} and {}: {:?} stands twice", record.line, record.id)));
        }
    }
    let rows = records.iter().map(|record| (record.id.clone(), record));
    let (mut by_id, unknown) = rows_by_id(&found.samples, rows)
        .map_err(|id| fail(format!("{id:?} stands twice, with and without an extension")))?;
    for sample in &mut found.samples {
        if let Some(record) = by_id.remove(&sample.id) {
            sample.split = Some(record.split);
            sample.patient = record.patient.clone();
        }
    }
    let without = found.samples.iter().filter(|s| s.split.is_none()).count();
    if without > 0 {
        found.notes.push(format!("{without} samples are not in {} and belong to no split", path.display()));
    }
    for id in unknown {
        found.problems.push(Problem::new(ProblemKind::MissingImage, path, format!("names {id:?}, which is not here")));
    }
    Ok(())
}
