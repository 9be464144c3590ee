//! Giving samples the parts and patients that a table names.

use super::{Dataset, Sample};
use crate::error::{DataError, Result};
use crate::names::without_extension;
use crate::split::SplitTable;
use std::collections::{BTreeMap, HashSet};

/// Most unknown ids that a message lists.
const LISTED: usize = 20;

/// The rows of a table by the id of their sample, and the names that belong to no sample. A row names a sample by its id or
/// by its id with the extension of an image.
///
/// # Errors
/// Two rows belong to one sample; the error is its id.
pub(super) fn rows_by_id<T>(
    samples: &[Sample],
    rows: impl IntoIterator<Item = (String, T)>,
) -> Result<(BTreeMap<String, T>, Vec<String>), String> {
    let known: HashSet<&str> = samples.iter().map(|s| s.id.as_str()).collect();
    let (mut by_id, mut unknown) = (BTreeMap::new(), Vec::new());
    for (name, row) in rows {
        let id = if known.contains(name.as_str()) { Some(name.as_str()) } else { without_extension(&name) };
        match id.filter(|id| known.contains(id)).map(str::to_owned) {
            Some(id) if by_id.contains_key(&id) => return Err(id),
            Some(id) => drop(by_id.insert(id, row)),
            None => unknown.push(name),
        }
    }
    Ok((by_id, unknown))
}

impl Dataset {
    /// Gives every sample the split that the table names, and drops the samples that the table does not name. A table may
    /// name a sample by its id alone or with the extension of its image.
    ///
    /// # Errors
    /// [`DataError::Split`] when the table names ids that the data set lacks, or one sample twice.
    pub fn apply_split(&mut self, table: &SplitTable) -> Result<()> {
        let fail = |reason: String| DataError::Split { path: self.root.clone(), reason };
        let rows = table.rows().iter().map(|row| (row.id.clone(), row.split));
        let (by_id, unknown) = rows_by_id(&self.samples, rows)
            .map_err(|id| fail(format!("the split names {id:?} twice, with and without an extension")))?;
        if !unknown.is_empty() {
            let listed = unknown.iter().take(LISTED).map(String::as_str).collect::<Vec<_>>().join(", ");
            let more = unknown.len().saturating_sub(LISTED);
            let more = if more > 0 { format!(" and {more} more") } else { String::new() };
            let count = unknown.len();
            return Err(fail(format!("the split names {count} ids that the data set lacks: {listed}{more}")));
        }
        self.samples.retain_mut(|sample| {
            sample.split = by_id.get(&sample.id).copied();
            sample.split.is_some()
        });
        Ok(())
    }
}
