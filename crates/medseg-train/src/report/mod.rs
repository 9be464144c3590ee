//! What a comparison shows: tables, curves, overlays, in the terminal, in Markdown and in one HTML file.

mod curves;
mod html;
mod overlay;
mod published;
mod table;
mod write;

pub use curves::{loss_curves, validation_curves};
pub use overlay::{FALSE_NEGATIVE, FALSE_POSITIVE, TRUE_POSITIVE, overlay, panel};
pub use published::{Average, Published, PublishedRow, PublishedTable, Source};
pub use table::{Table, TableCell, thousands};
pub use write::write_report;
