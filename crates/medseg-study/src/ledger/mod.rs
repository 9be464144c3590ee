//! The ledger of claims: every figure that the paper prints, the command that would run it, and what is known of it here.
//!
//! Claims are data ([`Published`]); their state is computed from results and from the module tree, never written by hand. A line is
//! *not run* where no result concerns it, *run under another profile* where the results at hand are of a smaller budget, another base
//! or other data, and otherwise *within the interval* or *not reproduced*. Parameter counts need no run: they are *exact*, *within
//! rounding* or *not reproducible*.

mod counts;
mod judge;
mod sentences;

pub use judge::{State, figure, is_the_papers};
pub(crate) use judge::{printed, row_text};

use crate::error::Result;
use crate::parameters::Parameters;
use crate::published::{Published, PublishedRow, PublishedTable};
use crate::results::Results;
use serde::Serialize;

/// One claim with its state.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Line {
    /// Where it is printed: the id of a table, or `text`.
    pub place: String,
    /// What it says.
    pub claim: String,
    /// The figure as printed.
    pub printed: String,
    /// Id of the source.
    pub source: String,
    /// What would run it; empty where nothing runs it yet.
    pub command: String,
    /// What is known of it.
    pub state: State,
    /// What was found here; empty where nothing was.
    pub here: String,
}

/// Every claim, in the order of the file: the figures of each table and its counts, then the sentences.
///
/// # Errors
/// None in practice: the statistics get what they need.
pub fn ledger(published: &Published, parameters: &Parameters, results: Option<&Results>) -> Result<Vec<Line>> {
    let mut lines = Vec::new();
    for table in &published.tables {
        for row in &table.rows {
            figures(&mut lines, table, row, results)?;
        }
        lines.extend(table.rows.iter().flat_map(|row| counts::of_row(table, row, parameters)));
    }
    for claim in &published.claims {
        lines.push(sentences::line(claim, published, parameters, results)?);
    }
    Ok(lines)
}

/// The lines of a row's printed figures, its averages included.
fn figures(lines: &mut Vec<Line>, table: &PublishedTable, row: &PublishedRow, results: Option<&Results>) -> Result<()> {
    let mut line = |name: &str, datasets: &[&str], what: &str, printed: f64, metric: &str| -> Result<()> {
        if printed.is_nan() {
            return Ok(());
        }
        let judged = judge::claim(results, table, row, datasets, metric, printed)?;
        lines.push(Line {
            place: table.id.clone(),
            claim: format!("{}, {name}: {what}", row.method),
            printed: judge::printed(printed),
            source: row.source.clone(),
            command: table.command_of(row),
            state: judged.state,
            here: judged.text,
        });
        Ok(())
    };
    for (index, dataset) in table.datasets.iter().enumerate() {
        let alone = [dataset.as_str()];
        line(dataset, &alone, "Dice", row.dice[index], "dice")?;
        line(dataset, &alone, "HD95, px", row.hd95[index], "hd95")?;
    }
    if let Some(average) = row.average {
        let all: Vec<&str> = table.datasets.iter().map(String::as_str).collect();
        line("average", &all, "Dice", average.dice, "dice")?;
        line("average", &all, "HD95, px", average.hd95, "hd95")?;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
