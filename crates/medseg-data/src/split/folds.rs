//! Folds for cross-validation that never cut through a patient.

use super::{Split, SplitRow, SplitTable};
use crate::dataset::Sample;
use crate::error::{DataError, Result};
use crate::random::Stream;
use std::collections::BTreeMap;

/// Divides samples into `k` folds by patient; a sample whose patient is unknown is its own patient.
///
/// Patients are shuffled by `seed`, then, largest first, each goes to the fold with the fewest samples so far. Every row of
/// the table is marked train; [`SplitTable::hold_out`] makes the split of one fold.
///
/// # Errors
/// [`DataError::Config`] when `k` is below 2 or above the number of patients.
pub fn k_folds<'a>(samples: impl IntoIterator<Item = &'a Sample>, k: usize, seed: u64) -> Result<SplitTable> {
    let mut patients: BTreeMap<(bool, &str), Vec<&str>> = BTreeMap::new();
    for sample in samples {
        let patient = sample.patient.as_deref();
        patients.entry((patient.is_some(), patient.unwrap_or(&sample.id))).or_default().push(&sample.id);
    }
    if k < 2 || k > patients.len() {
        return Err(DataError::config("folds", format!("2 to {} (the number of patients)", patients.len()), k));
    }
    let mut groups: Vec<Vec<&str>> = patients.into_values().collect();
    Stream::seeded(seed, "folds").shuffle(&mut groups);
    groups.sort_by_key(|g| std::cmp::Reverse(g.len()));
    let mut sizes = vec![0usize; k];
    let mut rows = Vec::new();
    for group in groups {
        let fold = (0..k).min_by_key(|&f| (sizes[f], f)).unwrap_or(0);
        sizes[fold] += group.len();
        let row = |id: &&str| SplitRow { id: (*id).to_owned(), split: Split::Train, fold: Some(fold as u32) };
        rows.extend(group.iter().map(row));
    }
    rows.sort_by_cached_key(|r| crate::names::natural(&r.id));
    SplitTable::new(rows)
}
