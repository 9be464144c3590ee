//! One table, three renderings: terminal, Markdown, HTML.

use serde::{Deserialize, Serialize};

/// Whose figures a table shows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Origin {
    /// Run here.
    #[default]
    Own,
    /// Published by the paper, with what became of them here.
    Published,
    /// Every claim of the paper with its state.
    Ledger,
}

/// A table of texts.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Table {
    /// Heading.
    pub title: String,
    /// Column names; the first column is left-aligned, the others right-aligned.
    pub header: Vec<String>,
    /// Rows of as many cells.
    pub rows: Vec<Vec<TableCell>>,
    /// What a reader should know, below the table.
    pub note: String,
    /// Whose figures it shows.
    pub origin: Origin,
}

/// One cell.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TableCell {
    /// What it says.
    pub text: String,
    /// Whether it stands out.
    pub strong: bool,
}

impl<T: Into<String>> From<T> for TableCell {
    fn from(text: T) -> Self {
        Self { text: text.into(), strong: false }
    }
}

/// Text safe inside HTML elements and quoted attributes.
pub(crate) fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            _ => out.push(letter),
        }
    }
    out
}

impl Table {
    /// Aligned plain text with ruled header.
    pub fn to_text(&self) -> String {
        let length = |text: &str| text.chars().count();
        let mut widths: Vec<usize> = self.header.iter().map(|name| length(name)).collect();
        for row in &self.rows {
            for (width, cell) in widths.iter_mut().zip(row) {
                *width = (*width).max(length(&cell.text) + usize::from(cell.strong));
            }
        }
        let line = |cells: Vec<String>| {
            let mut out = String::new();
            for (index, (cell, width)) in cells.iter().zip(&widths).enumerate() {
                let gap = " ".repeat(width - length(cell).min(*width));
                out.push_str(if index == 0 { "" } else { "  " });
                if index == 0 {
                    out.push_str(cell);
                    out.push_str(&gap);
                } else {
                    out.push_str(&gap);
                    out.push_str(cell);
                }
            }
            out.trim_end().to_string() + "\n"
        };
        let mut out = format!("{}\n{}", self.title, line(self.header.clone()));
        out.push_str(&"-".repeat(widths.iter().sum::<usize>() + 2 * widths.len().saturating_sub(1)));
        out.push('\n');
        for row in &self.rows {
            let marked = |cell: &TableCell| format!("{}{}", cell.text, if cell.strong { "*" } else { "" });
            out.push_str(&line(row.iter().map(marked).collect()));
        }
        if !self.note.is_empty() {
            out.push_str(&self.note);
            out.push('\n');
        }
        out
    }

    /// A Markdown table under a third-level heading.
    pub fn to_markdown(&self) -> String {
        let safe = |text: &str| text.replace('|', "\\|").replace('\n', " ");
        let mut out = format!("### {}\n\n|", self.title);
        for name in &self.header {
            out.push_str(&format!(" {} |", safe(name)));
        }
        out.push_str("\n|");
        for index in 0..self.header.len() {
            out.push_str(if index == 0 { " --- |" } else { " ---: |" });
        }
        out.push('\n');
        for row in &self.rows {
            out.push('|');
            for cell in row {
                let text = safe(&cell.text);
                out.push_str(&if cell.strong { format!(" **{text}** |") } else { format!(" {text} |") });
            }
            out.push('\n');
        }
        if !self.note.is_empty() {
            out.push_str(&format!("\n{}\n", self.note));
        }
        out.push('\n');
        out
    }

    /// An HTML `<figure>` with a scrollable table.
    pub fn to_html(&self) -> String {
        let mut out = format!("<h3>{}</h3>\n<div class=\"scroll\"><table>\n<thead><tr>", escape(&self.title));
        for name in &self.header {
            out.push_str(&format!("<th>{}</th>", escape(name)));
        }
        out.push_str("</tr></thead>\n<tbody>\n");
        for row in &self.rows {
            out.push_str("<tr>");
            for cell in row {
                let class = if cell.strong { " class=\"best\"" } else { "" };
                out.push_str(&format!("<td{class}>{}</td>", escape(&cell.text)));
            }
            out.push_str("</tr>\n");
        }
        out.push_str("</tbody></table></div>\n");
        if !self.note.is_empty() {
            out.push_str(&format!("<p class=\"note\">{}</p>\n", escape(&self.note)));
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> Table {
        Table {
            title: "T".into(),
            header: vec!["method".into(), "Dice".into()],
            rows: vec![
                vec!["SALT <4>".into(), TableCell { text: "0.81".into(), strong: true }],
                vec!["a|b".into(), "-".into()],
            ],
            note: "n".into(),
            origin: Origin::Own,
        }
    }

    #[test]
    fn columns_line_up() {
        assert_eq!(table().to_text(), "T\nmethod     Dice\n---------------\nSALT <4>  0.81*\na|b           -\nn\n");
    }

    #[test]
    fn markup_in_names_is_escaped() {
        assert!(table().to_html().contains("<td>SALT &lt;4&gt;</td><td class=\"best\">0.81</td>"));
        assert!(table().to_markdown().contains("| a\\|b | - |"));
        assert!(table().to_markdown().contains("| **0.81** |"));
    }
}
