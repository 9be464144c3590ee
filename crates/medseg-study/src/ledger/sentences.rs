//! Claims of the text: differences between methods, and counts.

use super::judge::{Judged, is_the_papers, profile_text};
use super::{Line, State, counts};
use crate::error::{Result, StudyError};
use crate::numbers::thousands;
use crate::parameters::Parameters;
use crate::published::{Claim, CountClaim, DifferenceClaim, Published, PublishedTable};
use crate::results::Results;
use crate::summary::PairedDifference;

/// The line of a claim.
pub(super) fn line(
    claim: &Claim,
    published: &Published,
    parameters: &Parameters,
    results: Option<&Results>,
) -> Result<Line> {
    let unknown = || StudyError::Plan(format!("claim {}: unknown table {:?}", claim.id, claim.table));
    let table = published.table(&claim.table).ok_or_else(unknown)?;
    let (judged, command) = match (&claim.difference, &claim.count) {
        (Some(difference), _) => {
            let command = format!("{} --methods {},{}", table.command, difference.left, difference.right);
            (compare(difference, published, table, results)?, command)
        }
        (None, Some(count)) => (tally(count, &claim.printed, parameters)?, counts::COMMAND.to_string()),
        (None, None) => (Judged::not_run(), String::new()),
    };
    Ok(Line {
        place: "text".into(),
        claim: claim.text.clone(),
        printed: claim.printed.clone(),
        source: claim.source.clone(),
        command,
        state: judged.state,
        here: judged.text,
    })
}

/// A claimed difference in Dice. In the paper's own setting, on all data sets of its table, it holds where the paired interval meets the
/// printed range and lies on the claimed side of 0. Where the paper does not say on which set it looked, any of its sets will do.
fn compare(
    claim: &DifferenceClaim,
    published: &Published,
    table: &PublishedTable,
    results: Option<&Results>,
) -> Result<Judged> {
    let Some(results) = results else { return Ok(Judged::not_run()) };
    let run = |name: &str| PairedDifference::of(results, name, &claim.left, &claim.right).map(|found| found.is_some());
    let papers = if table.names_its_datasets() { Some(table) } else { published.table("main") };
    let of_paper = |name: &str| papers.is_some_and(|table| table.has_dataset(name));
    let mut datasets: Vec<&str> = table.datasets.iter().map(String::as_str).collect();
    if !table.names_its_datasets() {
        datasets.clear();
        for dataset in &results.datasets {
            if of_paper(&dataset.name) && run(&dataset.name)? {
                datasets.push(&dataset.name);
            }
        }
    }
    if is_the_papers(results)
        && let Some(found) = PairedDifference::over(results, &datasets, &claim.left, &claim.right)?
    {
        let within = found.interval.is_some_and(|(low, high)| {
            let most = claim.most.unwrap_or(f64::INFINITY);
            low <= most && high >= claim.least && if claim.least < 0.0 { high < 0.0 } else { low > 0.0 }
        });
        let state = if within { State::WithinInterval } else { State::NotReproduced };
        let clear = if found.is_clear() { "" } else { ", not clearly different from 0" };
        return Ok(Judged { state, text: format!("{}{clear}", found.text()) });
    }
    let mut found = Vec::new();
    for dataset in &results.datasets {
        // One set of several says nothing of their average.
        if (!is_the_papers(results) || !of_paper(&dataset.name))
            && let Some(difference) = PairedDifference::of(results, &dataset.name, &claim.left, &claim.right)?
        {
            found.push(format!("{} {}", dataset.name, difference.text()));
        }
    }
    if found.is_empty() {
        return Ok(Judged::not_run());
    }
    let text = format!("{} ({})", found.join("; "), profile_text(results));
    Ok(Judged { state: State::OtherProfile, text })
}

/// A claimed count. Of several readings the first is the one that `reproduce` trains.
fn tally(claim: &CountClaim, printed: &str, parameters: &Parameters) -> Result<Judged> {
    let unknown = |what: String| StudyError::Plan(format!("a claim counts {what}, which is not there"));
    match claim {
        CountClaim::Row(id) => {
            let readings = counts::readings(parameters, Some(id.as_str()), "");
            let judged = readings.first().and_then(|reading| reading.judge(printed));
            let (state, text) = judged.ok_or_else(|| unknown(format!("{printed:?} of the row {id}")))?;
            Ok(Judged { state, text })
        }
        CountClaim::Total(model) if model == "sam" => {
            let state = State::of_count(parameters.frozen_verdict);
            let text = format!("{} frozen of {}", thousands(parameters.frozen), thousands(parameters.base));
            Ok(Judged { state: state.ok_or_else(|| unknown("the total of SAM".into()))?, text })
        }
        CountClaim::Total(model) if model == "sam2" => {
            let state = State::of_count(parameters.sam2.total_verdict);
            let text = format!("{} with CLIP", thousands(parameters.sam2.base));
            Ok(Judged { state: state.ok_or_else(|| unknown("the total of SAM 2".into()))?, text })
        }
        CountClaim::Total(model) => Err(unknown(format!("all of {model:?}"))),
        CountClaim::Below { rows, percent } => {
            let series = parameters.rows.iter().filter(|row| row.id.starts_with(rows));
            let largest = series.map(|row| row.percent).reduce(f64::max);
            let largest = largest.ok_or_else(|| unknown(format!("rows that begin with {rows}")))?;
            let state = if largest < *percent { State::Exact } else { State::NotReproducible };
            Ok(Judged { state, text: format!("at most {largest:.4}%") })
        }
    }
}
