//! From results to the state of a claim.

use crate::error::Result;
use crate::methods::Family;
use crate::parameters::Verdict;
use crate::published::{PublishedRow, PublishedTable};
use crate::results::Results;
use crate::summary::Summary;
use burn::module::Module;
use burn::tensor::Device;
use sam_model::SamConfig;
use serde::{Deserialize, Serialize};
use std::sync::OnceLock;

/// What is known of a claim.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum State {
    /// No result concerns it.
    NotRun,
    /// It was run with another budget, another base or other data.
    OtherProfile,
    /// The printed figure lies within the interval of the paper's own setting.
    WithinInterval,
    /// It does not.
    NotReproduced,
    /// A count, rounded to the printed digits, is the printed figure.
    Exact,
    /// It is, but few digits are printed, or only cutting digits off gives it.
    WithinRounding,
    /// No count that was tried gives it.
    NotReproducible,
}

impl State {
    /// Every state, in the order of a summary.
    pub const ALL: [Self; 7] = [
        Self::NotRun,
        Self::OtherProfile,
        Self::WithinInterval,
        Self::NotReproduced,
        Self::Exact,
        Self::WithinRounding,
        Self::NotReproducible,
    ];

    /// In words.
    pub fn text(self) -> &'static str {
        match self {
            Self::NotRun => "not run",
            Self::OtherProfile => "run under another profile",
            Self::WithinInterval => "within the interval",
            Self::NotReproduced => "not reproduced",
            Self::Exact => "exact",
            Self::WithinRounding => "within rounding",
            Self::NotReproducible => "not reproducible",
        }
    }

    /// The state of a counted claim; nothing for a point that the paper does not print.
    pub(super) fn of_count(verdict: Verdict) -> Option<Self> {
        match verdict {
            Verdict::Exact => Some(Self::Exact),
            Verdict::WithinRounding => Some(Self::WithinRounding),
            Verdict::NotReproducible => Some(Self::NotReproducible),
            Verdict::Unpublished => None,
        }
    }
}

/// A state with what was found.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Judged {
    /// The state.
    pub(super) state: State,
    /// What was found; empty where nothing was.
    pub(super) text: String,
}

impl Judged {
    pub(super) fn not_run() -> Self {
        Self { state: State::NotRun, text: String::new() }
    }
}

/// Whether results were made as the paper makes its own: its recipe, unshortened, on a trained base of the size of its own.
pub fn is_the_papers(results: &Results) -> bool {
    results.profile == PAPER && results.base.pretrained && base_sizes().contains(&results.base.parameters)
}

/// The same for one row: a classic network starts from weights of its own, whatever the base is.
fn is_the_papers_row(results: &Results, method: &str) -> bool {
    is_the_papers(results) || results.profile == PAPER && is_classic(results, method)
}

fn is_classic(results: &Results, method: &str) -> bool {
    results.methods.iter().any(|card| card.id == method && card.family == Family::Classic)
}

/// What kind of run a row was.
pub(crate) fn row_text(results: &Results, method: &str) -> String {
    if is_classic(results, method) { results.profile.clone() } else { profile_text(results) }
}

/// Name of the profile with the paper's recipe.
const PAPER: &str = "paper";

/// Parameters of SAM ViT-B and of SAM 2 base+ as the paper's recipe loads them.
pub(super) fn base_sizes() -> &'static [usize] {
    static SIZES: OnceLock<Vec<usize>> = OnceLock::new();
    SIZES.get_or_init(|| {
        let size = |config: SamConfig| config.paper(512).init(&Device::default()).map(|sam| sam.num_params());
        [SamConfig::vit_b(), SamConfig::sam2_base_plus()].into_iter().filter_map(|config| size(config).ok()).collect()
    })
}

/// What kind of run it was, for one that is not the paper's.
pub(crate) fn profile_text(results: &Results) -> String {
    let Results { profile, base, .. } = results;
    match (base.pretrained, is_the_papers(results) || profile != PAPER) {
        (false, _) => format!("{profile}, random weights"),
        (true, true) => profile.clone(),
        (true, false) => format!("{profile}, base {}", base.name),
    }
}

/// A printed figure with its two digits, or the three that a table prints.
pub(crate) fn printed(value: f64) -> String {
    let (two, all) = (format!("{value:.2}"), value.to_string());
    if value.is_nan() {
        "-".to_string()
    } else if all.len() > two.len() {
        all
    } else {
        two
    }
}

fn digits(metric: &str) -> usize {
    if metric == "dice" { 3 } else { 1 }
}

/// A printed figure against a method's results on data sets of these names, each counting once; nothing where one of them was not
/// run.
///
/// # Errors
/// None in practice: the statistics get what they need.
pub fn figure(
    results: &Results,
    datasets: &[&str],
    method: &str,
    metric: &str,
    printed: f64,
) -> Result<Option<(State, Summary)>> {
    let Some(summary) = Summary::over(results, datasets, method, metric)? else { return Ok(None) };
    let state = match summary.interval {
        _ if !is_the_papers_row(results, method) => State::OtherProfile,
        Some((low, high)) if (low..=high).contains(&printed) => State::WithinInterval,
        _ => State::NotReproduced,
    };
    Ok(Some((state, summary)))
}

/// A row's printed figure on data sets of its table.
pub(super) fn claim(
    results: Option<&Results>,
    table: &PublishedTable,
    row: &PublishedRow,
    datasets: &[&str],
    metric: &str,
    printed: f64,
) -> Result<Judged> {
    let (Some(results), Some(method)) = (results, &row.run) else { return Ok(Judged::not_run()) };
    if table.is_on_its_base(row, &results.base)
        && let Some((state, summary)) = figure(results, datasets, method, metric, printed)?
    {
        let mut text = summary.text(digits(metric));
        if state == State::OtherProfile {
            text.push_str(&format!(" ({})", row_text(results, method)));
        } else if summary.interval.is_none() {
            text.push_str(" (no interval: fewer than two patients)");
        }
        return Ok(Judged { state, text });
    }
    // What was run on part of the table says nothing of the rest.
    let counts_as_other = |name: &str| {
        !is_the_papers_row(results, method) || !table.is_on_its_base(row, &results.base) || !table.has_dataset(name)
    };
    let mut found = Vec::new();
    for dataset in results.datasets.iter().filter(|dataset| counts_as_other(&dataset.name)) {
        if let Some(summary) = Summary::over(results, &[dataset.name.as_str()], method, metric)? {
            found.push(format!("{} {}", dataset.name, summary.text(digits(metric))));
        }
    }
    if found.is_empty() {
        return Ok(Judged::not_run());
    }
    let text = format!("{} ({})", found.join("; "), row_text(results, method));
    Ok(Judged { state: State::OtherProfile, text })
}
