//! The files of a report.

use super::html::{self, Section};
use super::{Origin, Table, findings, loss_curves, tables, validation_curves};
use crate::error::{Result, StudyError};
use crate::published::Published;
use crate::results::Results;
use medseg_train::log::EpochRecord;
use std::path::Path;

/// Names of a report's files.
pub const FILES: [&str; 3] = ["results.json", "report.md", "report.html"];

/// A report: its tables, and its files by name with their content.
#[derive(Debug, Clone)]
pub struct Report {
    /// The tables, in order.
    pub tables: Vec<Table>,
    /// `results.json`, `report.md` and the self-contained `report.html`.
    pub files: Vec<(&'static str, Vec<u8>)>,
}

/// Makes the report of a comparison whose overlays lie under `out`. Whoever asks writes the files: the folder may be the user's.
///
/// # Errors
/// An overlay of the results is missing.
pub fn report(results: &Results, published: &Published, out: &Path) -> Result<Report> {
    let tables = tables(results, published)?;
    let json = serde_json::to_vec_pretty(results)
        .map_err(|error| StudyError::format(&out.join("results.json"), error.to_string()))?;
    let findings = findings(results)?;
    let text = markdown(results, &findings, &tables);
    let page = html(results, published, &findings, &tables, out)?;
    let files = FILES.into_iter().zip([json, text.into_bytes(), page.into_bytes()]).collect();
    Ok(Report { tables, files })
}

/// Title of a comparison.
fn title(results: &Results) -> String {
    format!("SALT-rs: comparison of fine-tuning methods ({} profile)", results.profile)
}

/// The notice with what is missing.
fn notice(results: &Results) -> String {
    let mut notice = results.notice.clone();
    if !results.base.pretrained {
        notice.push_str(&format!(
            " The base model is {}: no row shows what pre-training is worth, and adapters on random weights have little to adapt.",
            results.base.name
        ));
    }
    if !results.missing.is_empty() {
        notice.push_str(&format!(" {} cell(s) of the plan have no result yet.", results.missing.len()));
    }
    notice
}

/// The report as Markdown, without pictures.
pub(crate) fn markdown(results: &Results, findings: &[String], tables: &[Table]) -> String {
    let mut out = format!("# {}\n\n{}\n\n", title(results), notice(results));
    let base = &results.base;
    out.push_str(&format!(
        "Base model: {} ({} parameters, SHA-256 `{}`).\n\n",
        base.name, base.parameters, base.sha256
    ));
    for data in &results.datasets {
        out.push_str(&format!(
            "- **{}**: {}; {} training, {} validation, {} test images; split: {}; SHA-256 `{}`\n",
            data.name, data.layout, data.train, data.validation, data.test, data.split, data.sha256
        ));
    }
    out.push('\n');
    if !findings.is_empty() {
        out.push_str("## In words\n\n");
        for sentence in findings {
            out.push_str(&format!("- {sentence}\n"));
        }
        out.push('\n');
    }
    for table in tables {
        out.push_str(&table.to_markdown());
    }
    for (heading, pairs) in [("Settings", &results.settings), ("Environment", &results.environment)] {
        out.push_str(&format!("## {heading}\n\n"));
        for (name, value) in pairs {
            out.push_str(&format!("- {name}: {value}\n"));
        }
        out.push('\n');
    }
    if !results.missing.is_empty() {
        out.push_str("## Missing cells\n\n");
        for cell in &results.missing {
            out.push_str(&format!("- {cell}\n"));
        }
    }
    out
}

fn html(results: &Results, published: &Published, findings: &[String], tables: &[Table], out: &Path) -> Result<String> {
    let by = |origin: Origin| tables.iter().filter(|table| table.origin == origin).cloned().collect::<Vec<Table>>();
    let mut sections = Vec::new();
    if !findings.is_empty() {
        sections.push(Section { title: "In words".into(), body: html::list(findings) });
    }
    sections.push(Section { title: "Results".into(), body: html::tables(&by(Origin::Own)) });
    sections.push(Section { title: "Learning curves".into(), body: curves(results)? });
    sections.push(Section { title: "Overlays".into(), body: html::overlays(results, out)? });
    let mut body = html::tables(&by(Origin::Published));
    let sources: Vec<(String, String)> = published.sources.iter().map(|s| (s.id.clone(), s.text.clone())).collect();
    body.push_str(&html::definitions(sources.iter().map(|(id, text)| (id, text))));
    sections.push(Section { title: "Published figures".into(), body });
    sections.push(Section { title: "Ledger of claims".into(), body: html::tables(&by(Origin::Ledger)) });
    sections.push(Section { title: "Settings".into(), body: settings(results) });
    Ok(html::page(&title(results), &notice(results), &sections))
}

fn curves(results: &Results) -> Result<String> {
    let mut svgs = Vec::new();
    for dataset in &results.datasets {
        let mut lines: Vec<(String, Vec<EpochRecord>)> = Vec::new();
        for method in &results.methods {
            let cell = results.cells.iter().find(|cell| cell.dataset == dataset.name && cell.method == method.id);
            let chosen =
                cell.and_then(|cell| cell.grid.iter().find(|point| Some(point.learning_rate) == cell.learning_rate));
            if let Some(point) = chosen {
                lines.push((method.title.clone(), point.curve.clone()));
            }
        }
        svgs.push(validation_curves(&dataset.name, &lines)?);
        svgs.push(loss_curves(&dataset.name, &lines)?);
    }
    Ok(html::plots(&svgs) + "<p class=\"note\">Each method at its chosen learning rate, first seed.</p>\n")
}

fn settings(results: &Results) -> String {
    let mut pairs: Vec<(String, String)> = vec![
        ("base model".into(), format!("{}, {} parameters", results.base.name, results.base.parameters)),
        ("base SHA-256".into(), results.base.sha256.clone()),
    ];
    for data in &results.datasets {
        let counts = format!("{} training, {} validation, {} test", data.train, data.validation, data.test);
        let text = format!("{}; {counts}; split: {}; SHA-256 {}", data.layout, data.split, data.sha256);
        pairs.push((data.name.clone(), text));
    }
    let mut body = html::definitions(pairs.iter().map(|(name, value)| (name, value)));
    body.push_str(&html::definitions(&results.settings));
    body.push_str(&html::definitions(&results.environment));
    if !results.missing.is_empty() {
        body.push_str(&html::details("Cells without result", &results.missing.join("\n")));
    }
    for cell in &results.cells {
        let name = format!("{} / {} / seed {}: resolved configuration", cell.dataset, cell.method, cell.seed);
        body.push_str(&html::details(&name, &cell.config));
    }
    body
}
