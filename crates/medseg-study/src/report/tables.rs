//! The tables of a report: results, differences, parameters, budget, published figures, the ledger of claims.

use super::ledger::ledger_tables;
use super::table::Origin;
use super::{Table, TableCell};
use crate::error::Result;
use crate::ledger::{State, figure, ledger, printed, row_text};
use crate::methods::{Family, TableId};
use crate::numbers::thousands;
use crate::parameters::Parameters;
use crate::published::{Published, PublishedTable};
use crate::results::{MethodCard, Results};
use crate::summary::{PairedDifference, Summary, of};
use medseg_metrics::statistics::holm;

/// All tables of a report, in order: results, differences, parameters, budget, published figures, the ledger of claims.
///
/// # Errors
/// None in practice.
pub fn tables(results: &Results, published: &Published) -> Result<Vec<Table>> {
    let mut tables = Vec::new();
    for id in TableId::ALL {
        let methods: Vec<&MethodCard> = results.methods.iter().filter(|method| method.table == id).collect();
        if !methods.is_empty() {
            tables.push(scores(results, &methods, id.title())?);
        }
    }
    tables.extend([differences(results)?, partners(results)?].into_iter().flatten());
    tables.push(parameters(results));
    tables.push(budget(results));
    if let Some(table) = best_of_each(results) {
        tables.push(table);
    }
    for table in &published.tables {
        tables.push(beside(results, table)?);
    }
    let lines = ledger(published, &Parameters::paper()?, Some(results))?;
    tables.extend(ledger_tables(published, &lines));
    Ok(tables)
}

fn scores(results: &Results, methods: &[&MethodCard], title: &str) -> Result<Table> {
    let mut header = vec!["method".to_string(), "trained".into()];
    for dataset in &results.datasets {
        header.push(format!("{} Dice", dataset.name));
        header.push(format!("{} HD95, px", dataset.name));
    }
    let averaged = results.datasets.len() > 1;
    if averaged {
        header.extend(["average Dice".into(), "average HD95, px".into()]);
    }
    let mut figures: Vec<Vec<Option<Summary>>> = Vec::new();
    for method in methods {
        let mut row = Vec::new();
        for dataset in &results.datasets {
            let cells = of(results, &dataset.name, &method.id);
            row.push(Summary::of(&cells, "dice")?);
            row.push(Summary::of(&cells, "hd95")?);
        }
        for offset in if averaged { 0..2 } else { 0..0 } {
            let own: Vec<f64> = row.iter().skip(offset).step_by(2).flatten().map(|s: &Summary| s.mean).collect();
            let whole = own.len() == results.datasets.len();
            let mean = own.iter().sum::<f64>() / own.len().max(1) as f64;
            row.push(whole.then_some(Summary { mean, interval: None, cases: 0, seeds: 0 }));
        }
        figures.push(row);
    }
    // The two averages were pushed one after the other; even columns are Dice, odd ones HD95, throughout.
    let mut rows = Vec::new();
    for (method, row) in methods.iter().zip(&figures) {
        let mut cells = vec![method.title.clone().into(), TableCell::from(share(method))];
        for (column, figure) in row.iter().enumerate() {
            let dice = column % 2 == 0;
            // Who was shown the reference wins nothing.
            let own = methods.iter().zip(&figures).filter(|(method, _)| method.family != Family::Prompted);
            let best = own.filter_map(|(_, other)| other[column].map(|s| s.mean)).fold(
                if dice { f64::NEG_INFINITY } else { f64::INFINITY },
                |a, b| if dice { a.max(b) } else { a.min(b) },
            );
            cells.push(match figure {
                None => "not run".into(),
                Some(summary) => TableCell {
                    text: summary.text(if dice { 3 } else { 1 }),
                    strong: summary.mean == best && methods.len() > 1 && method.family != Family::Prompted,
                },
            });
        }
        rows.push(cells);
    }
    let metrics = results.cells.first().map(|cell| cell.metrics.clone()).unwrap_or_default();
    let prompted = match methods.iter().any(|method| method.family == Family::Prompted) {
        true => " Rows \"of the reference\" use the reference mask to prompt and stand out in no column.",
        false => "",
    };
    let note = format!(
        "{}{prompted} In brackets: 95 % bootstrap interval over the test images, resampling patients. The best mean of each column \
         stands out, which does not mean that it differs from the next. Metrics: {metrics}.",
        results.notice
    );
    Ok(Table { title: title.into(), header, rows, note, origin: Origin::Own })
}

fn share(method: &MethodCard) -> String {
    if method.trainable == 0 { "0".into() } else { format!("{:.2} %", method.percent()) }
}

/// Paired differences in Dice of SALT at high rank, or of the last method where that was not run, to every other.
fn differences(results: &Results) -> Result<Option<Table>> {
    let main: Vec<&MethodCard> = results.methods.iter().filter(|method| method.table.is_comparison()).collect();
    // The last SALT row is the one of the highest rank. Who was shown the reference is no measure for the others.
    let salt = main.iter().rfind(|method| method.family == Family::Salt);
    let Some(reference) = salt.or(main.iter().rfind(|method| method.family != Family::Prompted)) else {
        return Ok(None);
    };
    let others: Vec<&MethodCard> = main.iter().filter(|method| method.id != reference.id).copied().collect();
    if others.is_empty() {
        return Ok(None);
    }
    let mut header = vec![format!("{} minus", reference.title)];
    let mut rows: Vec<Vec<TableCell>> = others.iter().map(|method| vec![method.title.clone().into()]).collect();
    for dataset in &results.datasets {
        header.push(format!("{}: Dice difference", dataset.name));
        header.push("p (Holm)".into());
        let differences: Vec<Option<PairedDifference>> = others
            .iter()
            .map(|method| PairedDifference::of(results, &dataset.name, &reference.id, &method.id))
            .collect::<Result<_>>()?;
        let known: Vec<f64> = differences.iter().flatten().filter_map(|difference| difference.p_value).collect();
        let mut corrected = holm(&known).into_iter();
        for (row, difference) in rows.iter_mut().zip(differences) {
            let Some(difference) = difference else {
                row.extend([TableCell::from("not run"), "-".into()]);
                continue;
            };
            row.push(TableCell { text: difference.text(), strong: difference.is_clear() });
            let p_value = difference.p_value.and_then(|_| corrected.next());
            row.push(p_value.map_or_else(|| "-".to_string(), p_text).into());
        }
    }
    let note = "Difference of the same test images, mean with 95 % bootstrap interval over patients; it stands out where the \
                interval leaves 0 out. The interval covers other images, not what another seed of training would change. p: \
                Wilcoxon signed-rank test, corrected over the rows of a data set (Holm).";
    Ok(Some(Table { title: "Paired differences in Dice".into(), header, rows, note: note.into(), origin: Origin::Own }))
}

/// Paired differences in Dice of the rows that are compared with one other row.
fn partners(results: &Results) -> Result<Option<Table>> {
    let mut header = vec!["row".to_string(), "minus".into(), "trained parameters".into()];
    header.extend(results.datasets.iter().map(|dataset| format!("{}: Dice difference", dataset.name)));
    let mut rows = Vec::new();
    for method in &results.methods {
        let other = method.against.as_ref().and_then(|id| results.methods.iter().find(|method| method.id == *id));
        let Some(other) = other else { continue };
        let counts = format!("{} | {}", thousands(method.trainable), thousands(other.trainable));
        let mut row = vec![TableCell::from(method.title.clone()), other.title.clone().into(), counts.into()];
        for dataset in &results.datasets {
            row.push(match PairedDifference::of(results, &dataset.name, &method.id, &other.id)? {
                None => "not run".into(),
                Some(difference) => TableCell { text: difference.text(), strong: difference.is_clear() },
            });
        }
        rows.push(row);
    }
    let note = "Difference of the same test images, each first averaged over the seeds, mean with 95 % bootstrap interval over patients; it stands out where the interval leaves 0 out.";
    let title = "Paired differences in Dice, row by row".to_string();
    Ok((!rows.is_empty()).then(|| Table { title, header, rows, note: note.into(), origin: Origin::Own }))
}

fn p_text(p_value: f64) -> String {
    if p_value < 0.001 { "< 0.001".into() } else { format!("{p_value:.3}") }
}

fn parameters(results: &Results) -> Table {
    let row = |method: &MethodCard| {
        vec![
            method.title.clone().into(),
            method.trains.clone().into(),
            thousands(method.trainable).into(),
            thousands(method.total).into(),
            TableCell::from(format!("{:.4} %", method.percent())),
        ]
    };
    Table {
        title: "Parameters".into(),
        header: ["method", "trains", "trained parameters", "all parameters", "share"].map(String::from).to_vec(),
        rows: results.methods.iter().map(row).collect(),
        note: format!(
            "Counted on the model in memory ({}). Every adapted row also trains layer norms, positions and the prompt token; \
             the share counts the adapters among all parameters, as the paper does.",
            results.base.name
        ),
        origin: Origin::Own,
    }
}

fn budget(results: &Results) -> Table {
    let mut header = vec!["method".to_string()];
    for dataset in &results.datasets {
        header.extend([format!("{}: rate", dataset.name), "validation Dice".into(), "epoch".into(), "seconds".into()]);
    }
    let mut rows = Vec::new();
    for method in &results.methods {
        let mut row = vec![TableCell::from(method.title.clone())];
        for dataset in &results.datasets {
            let cells = of(results, &dataset.name, &method.id);
            let chosen: Vec<_> = cells
                .iter()
                .filter_map(|cell| cell.grid.iter().find(|point| Some(point.learning_rate) == cell.learning_rate))
                .collect();
            let list =
                |texts: Vec<String>| TableCell::from(if texts.is_empty() { "-".into() } else { texts.join(", ") });
            row.push(list(chosen.iter().map(|point| point.learning_rate.to_string()).collect()));
            row.push(list(chosen.iter().filter_map(|p| Some(format!("{:.3}", p.validation_dice?))).collect()));
            row.push(list(chosen.iter().filter_map(|p| Some((p.best_epoch? + 1).to_string())).collect()));
            row.push(list(cells.iter().map(|cell| format!("{:.0}", cell.seconds)).collect()));
        }
        rows.push(row);
    }
    let rates = results.settings.get("learning rates tried by every row").cloned().unwrap_or_default();
    Table {
        title: "Budget: the learning rate chosen on validation images".into(),
        header,
        rows,
        note: format!(
            "Every row tried the rates {rates} with the same number of epochs and the same augmentation. Seconds are those \
             of the whole cell, all rates and the evaluation, with other cells beside it."
        ),
        origin: Origin::Own,
    }
}

fn best_of_each(results: &Results) -> Option<Table> {
    let mut rows = Vec::new();
    for method in &results.methods {
        for dataset in &results.datasets {
            for cell in of(results, &dataset.name, &method.id) {
                if let Some(best) = cell.best_of_each {
                    let figures = [format!("{:.3}", best.dice), format!("{:.2}", best.hd95)];
                    let names = [method.title.clone(), dataset.name.clone(), cell.seed.to_string()];
                    rows.push(names.into_iter().chain(figures).map(TableCell::from).collect());
                }
            }
        }
    }
    (!rows.is_empty()).then(|| Table {
        title: "The paper's way of reporting".into(),
        header: ["method", "data set", "seed", "Dice at the lowest loss", "smallest HD95 of any epoch, px"]
            .map(String::from)
            .to_vec(),
        rows,
        note: "Each metric from its own best epoch, on the split that chose it, as the released code prints them. The tables \
               above report one checkpoint."
            .into(),
        origin: Origin::Own,
    })
}

/// A published table with, for each cell, what became of its Dice here.
fn beside(results: &Results, table: &PublishedTable) -> Result<Table> {
    let mut header = vec!["method".to_string(), "trained, published".into()];
    header.extend(table.datasets.iter().map(|name| format!("{name}: Dice | HD95, px")));
    let mut rows = Vec::new();
    for row in &table.rows {
        let trained = if row.derived.is_empty() { row.trained.clone() } else { format!("({})", row.derived) };
        let mut cells = vec![TableCell::from(row.method.clone()), trained.into()];
        for (index, dataset) in table.datasets.iter().enumerate() {
            let (dice, hd95) = (row.dice[index], row.hd95[index]);
            let found = match row.run.as_ref().filter(|_| table.is_on_its_base(row, &results.base)) {
                Some(method) => figure(results, &[dataset.as_str()], method, "dice", dice)?,
                None => None,
            };
            let status = match found {
                None => State::NotRun.text().to_string(),
                Some((State::OtherProfile, _)) => {
                    format!("run ({})", row_text(results, row.run.as_deref().unwrap_or_default()))
                }
                Some((state, summary)) => format!("{:.3}, {}", summary.mean, state.text()),
            };
            cells.push(format!("{} | {} ({status})", printed(dice), printed(hd95)).into());
        }
        rows.push(cells);
    }
    let title = format!("Published: {}", table.title);
    Ok(Table { title, header, rows, note: table.note.clone(), origin: Origin::Published })
}
