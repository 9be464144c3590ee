//! The paper's published figures, as data (`datasets/paper.toml`).

use crate::error::{Result, StudyError};
use serde::{Deserialize, Serialize};
use std::path::Path;

/// Published tables and where each figure comes from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Published {
    /// Sources, by id.
    #[serde(rename = "source")]
    pub sources: Vec<Source>,
    /// Tables, by id.
    #[serde(rename = "table")]
    pub tables: Vec<PublishedTable>,
}

/// Where a figure was read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Source {
    /// Short name used in rows.
    pub id: String,
    /// What it is.
    pub text: String,
}

/// One published table.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PublishedTable {
    /// Short name (`main`, `ablation-lora`, ...).
    pub id: String,
    /// Heading.
    pub title: String,
    /// Data sets, in the order of the figures.
    pub datasets: Vec<String>,
    /// What a reader should know.
    #[serde(default)]
    pub note: String,
    /// Rows.
    #[serde(rename = "row")]
    pub rows: Vec<PublishedRow>,
}

/// One published row.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PublishedRow {
    /// The method's name in print.
    pub method: String,
    /// The method id of this program that runs the row; absent where it cannot be run yet.
    #[serde(default)]
    pub run: Option<String>,
    /// Share or number of trained parameters, as printed.
    #[serde(default)]
    pub trained: String,
    /// Id of the source.
    pub source: String,
    /// Dice per data set, 0 to 1; not a number where not published.
    pub dice: Vec<f64>,
    /// HD95 per data set in px at 512; not a number where not published.
    pub hd95: Vec<f64>,
    /// The printed averages.
    #[serde(default)]
    pub average: Option<Average>,
}

/// Printed averages of a row.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Average {
    /// Mean Dice.
    pub dice: f64,
    /// Mean HD95 in px.
    pub hd95: f64,
}

/// The figures that come with the program: the content of `datasets/paper.toml`.
const PAPER: &str = include_str!("../paper.toml");

impl Published {
    /// The SALT paper's figures.
    ///
    /// # Errors
    /// None in practice: the file is part of the program and tested.
    pub fn paper() -> Result<Self> {
        Self::parse(PAPER, Path::new("datasets/paper.toml"))
    }

    /// Reads and checks the TOML text of the file at `path` (named in messages only).
    ///
    /// # Errors
    /// Unknown keys, a row whose figures do not match its table's data sets, or a source that is not listed.
    pub fn parse(text: &str, path: &Path) -> Result<Self> {
        let published: Self = toml::from_str(text).map_err(|error| StudyError::format(path, error.to_string()))?;
        for table in &published.tables {
            for row in &table.rows {
                let place = format!("table {}, row {}", table.id, row.method);
                let expected = table.datasets.len();
                for (name, figures) in [("dice", &row.dice), ("hd95", &row.hd95)] {
                    if figures.len() != expected {
                        let problem = format!("{place}: expected {expected} {name} figures, found {}", figures.len());
                        return Err(StudyError::format(path, problem));
                    }
                }
                if let Some(dice) = row.dice.iter().find(|dice| !dice.is_nan() && !(0.0..=1.0).contains(*dice)) {
                    return Err(StudyError::format(path, format!("{place}: Dice {dice} is not in 0..=1")));
                }
                if !published.sources.iter().any(|source| source.id == row.source) {
                    return Err(StudyError::format(path, format!("{place}: source {:?} is not listed", row.source)));
                }
            }
        }
        Ok(published)
    }

    /// The table of this id.
    pub fn table(&self, id: &str) -> Option<&PublishedTable> {
        self.tables.iter().find(|table| table.id == id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn printed_averages_are_the_means_of_their_rows() {
        let published = Published::paper().unwrap();
        let main = published.table("main").unwrap();
        let mut checked = 0;
        for row in &main.rows {
            let Some(average) = row.average else { continue };
            for (figures, printed) in [(&row.dice, average.dice), (&row.hd95, average.hd95)] {
                if figures.iter().all(|figure| figure.is_finite()) {
                    let mean = figures.iter().sum::<f64>() / figures.len() as f64;
                    assert!((mean - printed).abs() <= 0.0101, "{}: {mean} against {printed}", row.method);
                    checked += 1;
                }
            }
        }
        assert!(checked >= 20, "{checked}");
    }

    #[test]
    fn a_row_that_does_not_fit_is_named() {
        let text = PAPER.replacen("dice = [0.36, 0.13,", "dice = [0.36,", 1);
        let message = Published::parse(&text, Path::new("paper.toml")).unwrap_err().to_string();
        assert!(message.contains("row U-Net: expected 5 dice figures, found 4"), "{message}");
        let text = PAPER.replacen("source = \"preprint\"", "source = \"hearsay\"", 1);
        assert!(Published::parse(&text, Path::new("paper.toml")).unwrap_err().to_string().contains("hearsay"));
        let text = PAPER.replacen("trained", "trainde", 1);
        assert!(Published::parse(&text, Path::new("paper.toml")).unwrap_err().to_string().contains("trainde"));
    }
}
