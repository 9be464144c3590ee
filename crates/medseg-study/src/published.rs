//! The paper's published figures, as data (`datasets/paper.toml`).

use crate::error::{Result, StudyError};
use medseg_train::model::BaseModelCard;
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
    /// Claims of the text.
    #[serde(rename = "claim", default)]
    pub claims: Vec<Claim>,
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
    /// What runs a row, without `--methods`.
    pub command: String,
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
    /// What the name of the base model must contain, where the row is about another than its table.
    #[serde(default)]
    pub base: Option<String>,
    /// What runs the row, where the table's command does not.
    #[serde(default)]
    pub command: Option<String>,
    /// Share or number of trained parameters, as printed.
    #[serde(default)]
    pub trained: String,
    /// The share that the published ranks give, where the paper prints none.
    #[serde(default)]
    pub derived: String,
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

/// A claim of the text.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Claim {
    /// Short name.
    pub id: String,
    /// What is claimed.
    pub text: String,
    /// The figure as printed.
    pub printed: String,
    /// Id of the source.
    pub source: String,
    /// Id of the table whose data sets and command it is about.
    pub table: String,
    /// A difference in Dice between two methods.
    #[serde(default)]
    pub difference: Option<DifferenceClaim>,
    /// A number of parameters.
    #[serde(default)]
    pub count: Option<CountClaim>,
}

/// A claimed difference in Dice, `left` minus `right` (method ids).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DifferenceClaim {
    /// Minuend.
    pub left: String,
    /// Subtrahend.
    pub right: String,
    /// Smallest difference that is claimed.
    pub least: f64,
    /// Largest; none where the claim has no upper end.
    #[serde(default)]
    pub most: Option<f64>,
}

/// What is counted.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum CountClaim {
    /// The trained parameters of a row, by its id.
    Row(String),
    /// All parameters of a model: `sam` or `sam2`.
    Total(String),
    /// Every row whose id begins so trains less than a share.
    Below {
        /// Beginning of the ids.
        rows: String,
        /// The share, in percent.
        percent: f64,
    },
}

impl PublishedTable {
    /// Whether it has a data set of this name.
    pub fn has_dataset(&self, name: &str) -> bool {
        self.datasets.iter().any(|dataset| dataset == name)
    }

    /// Whether the paper says on which data sets it ran.
    pub fn names_its_datasets(&self) -> bool {
        !self.has_dataset(NOT_STATED)
    }

    /// Whether results on this base are about a row: its own, or where it names none, one that no other row names.
    pub fn is_on_its_base(&self, row: &PublishedRow, base: &BaseModelCard) -> bool {
        let holds = |part: &String| base.name.to_lowercase().contains(&part.to_lowercase());
        match &row.base {
            Some(own) => holds(own),
            None => !self.rows.iter().filter_map(|row| row.base.as_ref()).any(holds),
        }
    }

    /// What runs a row; empty where nothing does yet.
    pub fn command_of(&self, row: &PublishedRow) -> String {
        let command = row.command.as_ref().unwrap_or(&self.command);
        row.run.as_ref().map_or_else(String::new, |method| format!("{command} --methods {method}"))
    }
}

/// The data set of a table for which the paper names none.
const NOT_STATED: &str = "not stated";

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
        for claim in &published.claims {
            let place = format!("claim {}", claim.id);
            if claim.difference.is_some() == claim.count.is_some() {
                let problem = format!("{place}: expected one of `difference` and `count`");
                return Err(StudyError::format(path, problem));
            }
            if published.table(&claim.table).is_none() {
                return Err(StudyError::format(path, format!("{place}: table {:?} is not there", claim.table)));
            }
            if !published.sources.iter().any(|source| source.id == claim.source) {
                return Err(StudyError::format(path, format!("{place}: source {:?} is not listed", claim.source)));
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
        let text = PAPER.replacen("[claim.difference]", "[claim.differnce]", 1);
        assert!(Published::parse(&text, Path::new("paper.toml")).unwrap_err().to_string().contains("differnce"));
        let text = PAPER.replacen("table = \"main\"", "table = \"mian\"", 1);
        assert!(Published::parse(&text, Path::new("paper.toml")).unwrap_err().to_string().contains("mian"));
        let text = PAPER.replacen("trained", "trainde", 1);
        assert!(Published::parse(&text, Path::new("paper.toml")).unwrap_err().to_string().contains("trainde"));
    }
}
