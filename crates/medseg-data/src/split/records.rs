//! The rows of a table that gives samples their parts, as users and programs write it.

use super::Split;
use crate::error::{DataError, Result};
use crate::names::{composed, without_extension};
use std::path::Path;

/// One row of a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Record {
    /// Line of the file, from 1.
    pub(crate) line: u64,
    /// The id, or the base name of a path without its extension.
    pub(crate) id: String,
    pub(crate) split: Split,
    /// Empty where the table has no folds.
    pub(crate) fold: String,
    pub(crate) patient: Option<String>,
}

const SEPARATORS: [u8; 3] = [b',', b';', b'\t'];

/// The separator that stands most often in the header; none of the known columns holds one.
fn separator(text: &str) -> u8 {
    let header = text.lines().find(|line| !line.trim().is_empty()).unwrap_or_default();
    let count = |separator: u8| header.bytes().filter(|&byte| byte == separator).count();
    SEPARATORS.into_iter().rev().max_by_key(|&separator| count(separator)).unwrap_or(b',')
}

/// The last component of a path written on any system, without the extension of an image.
fn base_stem(text: &str) -> &str {
    let name = text.rsplit(['/', '\\']).next().unwrap_or(text);
    without_extension(name).unwrap_or(name).trim()
}

/// Reads the rows of a CSV with the columns `id` or `imgs`, `split`, and where present `fold` and `patient`.
///
/// # Errors
/// [`DataError::Split`] for another encoding than UTF-8, missing columns, or the name of a part that is none.
pub(crate) fn read_records(path: &Path, bytes: &[u8]) -> Result<Vec<Record>> {
    let fail = |reason: String| DataError::Split { path: path.to_owned(), reason };
    let text = std::str::from_utf8(bytes)
        .map_err(|e| fail(format!("expected UTF-8 text, found another encoding at byte {}", e.valid_up_to())))?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut reader = csv::ReaderBuilder::new()
        .delimiter(separator(text))
        .trim(csv::Trim::All)
        .flexible(true)
        .from_reader(text.as_bytes());
    let header = reader.headers().map_err(|e| fail(e.to_string()))?.clone();
    let column = |name: &str| header.iter().position(|own| own.to_lowercase() == name);
    let names = column("imgs").map(|c| (c, true)).or(column("id").map(|c| (c, false)));
    let (Some((name_column, paths)), Some(split_column)) = (names, column("split")) else {
        let found = header.iter().collect::<Vec<_>>().join(",");
        return Err(fail(format!("expected the columns id,split,fold or imgs,labels,split,fold, found {found}")));
    };
    let (fold_column, patient_column) = (column("fold"), column("patient"));
    let mut rows = Vec::new();
    for record in reader.records() {
        let record = record.map_err(|e| fail(e.to_string()))?;
        if record.iter().all(str::is_empty) {
            continue;
        }
        let field = |column: Option<usize>| column.and_then(|c| record.get(c)).unwrap_or_default();
        let line = record.position().map_or(0, csv::Position::line);
        let name = field(Some(name_column));
        let split = field(Some(split_column)).parse().map_err(|reason| fail(format!("line {line}: {reason}")))?;
        rows.push(Record {
            line,
            id: composed(if paths { base_stem(name) } else { name }),
            split,
            fold: field(fold_column).to_owned(),
            patient: Some(field(patient_column)).filter(|p| !p.is_empty()).map(str::to_owned),
        });
    }
    Ok(rows)
}
