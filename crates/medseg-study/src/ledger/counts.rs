//! Printed parameter counts against the module tree.

use super::{Line, State};
use crate::numbers::thousands;
use crate::parameters::{Parameters, Verdict};
use crate::published::{PublishedRow, PublishedTable};

/// What prints the counts.
pub(super) const COMMAND: &str = "salt reproduce --ledger";

/// A count under one reading of what is counted.
pub(super) struct Reading {
    setting: String,
    trainable: usize,
    percent: f64,
}

/// The readings of a row: by the method's id, or by the network's name.
pub(super) fn readings(parameters: &Parameters, id: Option<&str>, name: &str) -> Vec<Reading> {
    let rows = parameters.rows.iter().chain(&parameters.sam2.rows).filter(|row| Some(row.id.as_str()) == id);
    let rows = rows.map(|row| Reading { setting: row.setting.clone(), trainable: row.trainable, percent: row.percent });
    let networks = parameters.networks.iter().filter(|network| network.name == name);
    let networks =
        networks.map(|network| Reading { setting: network.id.clone(), trainable: network.count, percent: 100.0 });
    rows.chain(networks).collect()
}

impl Reading {
    /// A printed share ("3.9%") or number ("9.4M") against this count; nothing for a text that is neither.
    pub(super) fn judge(&self, printed: &str) -> Option<(State, String)> {
        let (verdict, found) = if let Some(share) = printed.strip_suffix('%') {
            (Verdict::of(self.percent, share.trim_end()), format!("{:.4}%", self.percent))
        } else {
            (Verdict::of(self.trainable as f64 / 1e6, printed.strip_suffix('M')?), thousands(self.trainable))
        };
        State::of_count(verdict).map(|state| (state, format!("{found} ({})", self.setting)))
    }
}

/// The lines of what a row prints of its parameters, one for each figure and reading.
pub(super) fn of_row(table: &PublishedTable, row: &PublishedRow, parameters: &Parameters) -> Vec<Line> {
    let mut lines = Vec::new();
    for printed in row.trained.split(" / ").filter(|text| !text.is_empty()) {
        for reading in readings(parameters, row.run.as_deref(), &row.method) {
            let Some((state, here)) = reading.judge(printed) else { continue };
            lines.push(Line {
                place: table.id.clone(),
                claim: format!("{}: trained parameters", row.method),
                printed: printed.into(),
                source: row.source.clone(),
                command: COMMAND.into(),
                state,
                here,
            });
        }
    }
    lines
}
