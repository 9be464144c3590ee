//! Split tables: CSV files with a checksum.

use super::{Split, read_records};
use crate::decode::read_limited;
use crate::error::{DataError, Result};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::path::Path;

/// One row of a split table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SplitRow {
    /// The sample's id.
    pub id: String,
    /// Its part.
    pub split: Split,
    /// Its fold, where the table has folds.
    pub fold: Option<u32>,
}

/// A split table. On disk: a CSV with the header `id,split,fold` (`fold` may be empty), Unix line ends, rows in the order given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SplitTable {
    rows: Vec<SplitRow>,
}

/// Largest table that is read, in bytes.
const LIMIT: u64 = 64 << 20;

impl SplitTable {
    /// A table from its rows.
    ///
    /// # Errors
    /// [`DataError::Split`] when an id is empty or stands twice.
    pub fn new(rows: Vec<SplitRow>) -> Result<Self> {
        Self::checked(Path::new("split table"), rows)
    }

    fn checked(path: &Path, rows: Vec<SplitRow>) -> Result<Self> {
        let fail = |reason: String| DataError::Split { path: path.to_owned(), reason };
        let mut seen: BTreeMap<&str, usize> = BTreeMap::new();
        for (number, row) in rows.iter().enumerate() {
            if row.id.is_empty() {
                return Err(fail(format!("row {}: expected an id, found nothing", number + 1)));
            }
            if let Some(first) = seen.insert(&row.id, number) {
                return Err(fail(format!("rows {} and {}: the id {:?} stands twice", first + 1, number + 1, row.id)));
            }
        }
        Ok(Self { rows })
    }

    /// The rows in order.
    pub fn rows(&self) -> &[SplitRow] {
        &self.rows
    }

    /// How many rows a split has.
    pub fn count(&self, split: Split) -> usize {
        self.rows.iter().filter(|r| r.split == split).count()
    }

    /// The table with fold `fold` as test split and all other folds as train split.
    ///
    /// # Errors
    /// [`DataError::Split`] when a row has no fold or no row has this one.
    pub fn hold_out(&self, fold: u32) -> Result<Self> {
        let fail = |reason: String| DataError::Split { path: "split table".into(), reason };
        let mut rows = self.rows.clone();
        for row in &mut rows {
            let Some(own) = row.fold else { return Err(fail(format!("{:?} has no fold", row.id))) };
            row.split = if own == fold { Split::Test } else { Split::Train };
        }
        if !rows.iter().any(|r| r.split == Split::Test) {
            return Err(fail(format!("no row belongs to fold {fold}")));
        }
        Ok(Self { rows })
    }

    /// The bytes that [`write`](SplitTable::write) writes.
    pub fn to_csv(&self) -> String {
        let mut text = String::from("id,split,fold\n");
        for row in &self.rows {
            let quoted = row.id.contains([',', '"', '\n', '\r']);
            let id = if quoted { format!("\"{}\"", row.id.replace('"', "\"\"")) } else { row.id.clone() };
            let fold = row.fold.map(|f| f.to_string()).unwrap_or_default();
            text.push_str(&format!("{id},{},{fold}\n", row.split));
        }
        text
    }

    /// SHA-256 of the CSV, in lower-case hexadecimal.
    pub fn checksum(&self) -> String {
        hex(&Sha256::digest(self.to_csv().as_bytes()))
    }

    /// Writes the CSV.
    ///
    /// # Errors
    /// [`DataError::Io`].
    pub fn write(&self, path: impl AsRef<Path>) -> Result<()> {
        let path = path.as_ref();
        atomic_file::write(path, self.to_csv().as_bytes()).map_err(DataError::io(path))
    }

    /// Reads a CSV and, when `checksum` is given, insists that the file's SHA-256 is that.
    ///
    /// The columns are `id`, `split` and optionally `fold`, or those of the released SALT code, `imgs,labels,split,fold` (of
    /// `imgs` only the base name counts), in any order. Commas, semicolons or tabs divide them; capitals in header and split
    /// names, a byte order mark, Windows line ends and blank rows are accepted. Ids are brought to Unicode's composed form.
    ///
    /// # Errors
    /// [`DataError::Io`]; [`DataError::Split`] for a wrong checksum, header, split name, fold or a repeated id.
    pub fn read(path: impl AsRef<Path>, checksum: Option<&str>) -> Result<Self> {
        let path = path.as_ref();
        let fail = |reason: String| DataError::Split { path: path.to_owned(), reason };
        let bytes = read_limited(path, LIMIT)?;
        if let Some(expected) = checksum {
            let found = hex(&Sha256::digest(&bytes));
            if !found.eq_ignore_ascii_case(expected) {
                return Err(fail(format!("expected the SHA-256 {expected}, found {found}")));
            }
        }
        let mut rows = Vec::new();
        for record in read_records(path, &bytes)? {
            let fold = match record.fold.as_str() {
                "" => None,
                text => Some(
                    whole_number(text)
                        .ok_or_else(|| fail(format!("line {}: expected a fold number, found {text:?}", record.line)))?,
                ),
            };
            rows.push(SplitRow { id: record.id, split: record.split, fold });
        }
        Self::checked(path, rows)
    }
}

/// `3`, also as `3.0`, which is how a column with gaps is often written.
fn whole_number(text: &str) -> Option<u32> {
    text.strip_suffix(".0").unwrap_or(text).parse().ok()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}
