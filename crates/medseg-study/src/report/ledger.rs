//! The ledger as tables.

use super::{Origin, Table, TableCell};
use crate::ledger::{Line, State};
use crate::published::Published;

/// How every command begins; lines leave it away.
const PROGRAM: &str = "salt reproduce ";

/// One table for each place where the paper prints claims, and a summary of the states before them.
pub fn ledger_tables(published: &Published, lines: &[Line]) -> Vec<Table> {
    let mut tables = vec![summary(lines)];
    let places = published.tables.iter().map(|table| (table.id.as_str(), table.title.as_str(), table.command.as_str()));
    for (place, title, command) in places.chain([("text", "Sentences of the abstract and the text", "")]) {
        let own: Vec<&Line> = lines.iter().filter(|line| line.place == place).collect();
        if own.is_empty() {
            continue;
        }
        let short = |line: &Line| match line.command.strip_prefix(command) {
            Some(rest) if !command.is_empty() => rest.trim_start().to_string(),
            _ if line.command.is_empty() => "no command yet".to_string(),
            _ => line.command.strip_prefix(PROGRAM).unwrap_or(&line.command).to_string(),
        };
        let row = |line: &&Line| {
            let strong = matches!(line.state, State::WithinInterval | State::NotReproduced);
            vec![
                line.claim.clone().into(),
                line.printed.clone().into(),
                TableCell { text: line.state.text().into(), strong },
                line.here.clone().into(),
                TableCell::from(short(line)),
            ]
        };
        let note =
            if command.is_empty() { String::new() } else { format!("Run with: {command}, and what the line says.") };
        tables.push(Table {
            title: format!("Ledger: {title}"),
            header: ["claim", "printed", "state", "here", "run with"].map(String::from).to_vec(),
            rows: own.iter().map(row).collect(),
            note,
            origin: Origin::Ledger,
        });
    }
    tables
}

fn summary(lines: &[Line]) -> Table {
    let row = |state: State| {
        let count = lines.iter().filter(|line| line.state == state).count();
        (count > 0).then(|| vec![state.text().into(), TableCell::from(count.to_string())])
    };
    Table {
        title: format!("Ledger: {} lines, one for each printed figure and reading of it", lines.len()),
        header: ["state", "lines"].map(String::from).to_vec(),
        rows: State::ALL.into_iter().filter_map(row).collect(),
        note: "Computed from the results at hand and from the module tree. Within the interval: the printed figure lies in the 95 % \
               interval of the paper's recipe on the paper's data set and base; a claimed difference also has to be clear of 0."
            .into(),
        origin: Origin::Ledger,
    }
}
