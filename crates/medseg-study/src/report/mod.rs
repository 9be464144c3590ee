//! What a comparison shows: tables, sentences, curves, overlays, in the terminal, in Markdown and in one HTML file.

mod curves;
mod findings;
mod html;
mod ledger;
mod table;
mod tables;
mod write;

pub use crate::numbers::thousands;
pub use curves::{loss_curves, validation_curves};
pub use findings::findings;
pub use ledger::ledger_tables;
pub use table::{Origin, Table, TableCell};
pub use tables::tables;
pub use write::{FILES, Report, report};
