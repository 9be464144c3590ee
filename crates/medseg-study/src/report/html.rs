//! The self-contained HTML report: no script, no link, every picture inside.

use super::table::{Table, escape};
use crate::error::{Result, StudyError};
use crate::results::Results;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use medseg_train::overlay::{FALSE_NEGATIVE, FALSE_POSITIVE, TRUE_POSITIVE};
use std::fmt::Write;
use std::path::Path;

const STYLE: &str = include_str!("report.css");

/// A heading with what stands below it.
#[derive(Debug)]
pub(crate) struct Section {
    /// Also the anchor in the navigation.
    pub(crate) title: String,
    /// HTML.
    pub(crate) body: String,
}

/// One page out of sections.
pub(crate) fn page(title: &str, notice: &str, sections: &[Section]) -> String {
    let mut out = String::from("<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n");
    out.push_str("<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n");
    let _ = writeln!(out, "<title>{}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>", escape(title));
    let _ = writeln!(out, "<header><h1>{}</h1>\n<p class=\"notice\">{}</p>\n<nav>", escape(title), escape(notice));
    for (index, section) in sections.iter().enumerate() {
        let _ = write!(out, "<a href=\"#s{index}\">{}</a> ", escape(&section.title));
    }
    out.push_str("</nav></header>\n<main>\n");
    for (index, section) in sections.iter().enumerate() {
        let title = escape(&section.title);
        let _ = writeln!(out, "<section id=\"s{index}\">\n<h2>{title}</h2>\n{}</section>", section.body);
    }
    out.push_str("</main>\n</body>\n</html>\n");
    out
}

/// Tables one below the other.
pub(crate) fn tables(tables: &[Table]) -> String {
    tables.iter().map(Table::to_html).collect()
}

/// Sentences as a list.
pub(crate) fn list(sentences: &[String]) -> String {
    let items: String = sentences.iter().map(|text| format!("<li>{}</li>\n", escape(text))).collect();
    format!("<ul>\n{items}</ul>\n")
}

/// Plots side by side where the window is wide enough.
pub(crate) fn plots(svgs: &[String]) -> String {
    let figures: String = svgs.iter().map(|svg| format!("<figure class=\"plot\">{svg}</figure>\n")).collect();
    format!("<div class=\"plots\">\n{figures}</div>\n")
}

/// The overlays of every finished cell of one seed per method and data set, from the PNG files under `folder`.
///
/// # Errors
/// A picture named in the results cannot be read.
pub(crate) fn overlays(results: &Results, folder: &Path) -> Result<String> {
    let swatch = |colour: image::Rgb<u8>, name: &str| {
        let [r, g, b] = colour.0;
        format!("<span class=\"swatch\" style=\"background:rgb({r},{g},{b})\"></span>{name} ")
    };
    let mut out = String::from("<p>Each picture shows the image and, beside it, ");
    out.push_str(&swatch(TRUE_POSITIVE, "vessel found,"));
    out.push_str(&swatch(FALSE_POSITIVE, "vessel invented,"));
    out.push_str(&swatch(FALSE_NEGATIVE, "vessel missed."));
    out.push_str(" The test images with the worst, the median and the best Dice of each method.</p>\n");
    for dataset in &results.datasets {
        let _ = writeln!(out, "<h3>{}</h3>", escape(&dataset.name));
        for method in &results.methods {
            let mut cells = results.cells.iter().filter(|c| c.dataset == dataset.name && c.method == method.id);
            let Some(cell) = cells.next().filter(|cell| !cell.overlays.is_empty()) else { continue };
            let _ = writeln!(out, "<h4>{}</h4>\n<div class=\"gallery\">", escape(&method.title));
            for overlay in &cell.overlays {
                let path = folder.join(&overlay.file);
                let png = std::fs::read(&path).map_err(StudyError::io("cannot read", &path))?;
                let caption = format!("{}: {} (Dice {:.3})", overlay.rank, overlay.id, overlay.dice);
                let _ = writeln!(
                    out,
                    "<figure><img alt=\"{0}\" src=\"data:image/png;base64,{1}\"><figcaption>{0}</figcaption></figure>",
                    escape(&caption),
                    STANDARD.encode(png)
                );
            }
            out.push_str("</div>\n");
        }
    }
    Ok(out)
}

/// Names and values.
pub(crate) fn definitions<'a>(pairs: impl IntoIterator<Item = (&'a String, &'a String)>) -> String {
    let rows: String = pairs
        .into_iter()
        .map(|(name, value)| format!("<tr><th scope=\"row\">{}</th><td>{}</td></tr>\n", escape(name), escape(value)))
        .collect();
    format!("<div class=\"scroll\"><table class=\"definitions\">\n{rows}</table></div>\n")
}

/// Text that opens on demand.
pub(crate) fn details(summary: &str, text: &str) -> String {
    format!("<details><summary>{}</summary><pre>{}</pre></details>\n", escape(summary), escape(text))
}
