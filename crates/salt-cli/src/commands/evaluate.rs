//! `salt evaluate`: every metric for two folders of masks.

use super::CommandResult;
use super::reading::MaskArgs;
use crate::error::CliError;
use crate::output_folder::write_named;
use crate::progress::Progress;
use medseg_data::decode::{DecodedMask, ImageOptions, Label, Labels, Limits, MaskPolicy, MaskRule, decode_mask};
use medseg_metrics::folders::{FilePair, pair_folders};
use medseg_metrics::{
    BootstrapOptions, Case, CompareOptions, Definition, EmptyPolicy, Evaluator, Mask, MaskPair, MetricsError, Protocol,
    Report, Spacing, Tolerance,
};
use rayon::prelude::*;
use std::error::Error;
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// Measure a folder of predicted masks against a folder of reference masks.
///
/// Masks are png, tif, gif, bmp, pgm or jpg; a prediction belongs to the reference of the same stem, with an optional suffix such
/// as _mask left out on either side. Every file without a partner, every file that cannot be read and every pair of
/// different sizes is listed, and then nothing is reported: the exit code is 1.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Folder of predicted masks
    #[arg(long, value_name = "DIR")]
    pred: PathBuf,
    /// Folder of reference masks
    #[arg(long = "ref", value_name = "DIR")]
    reference: PathBuf,
    /// Millimetres from row to row and from column to column; without it, distances are in pixels
    #[arg(long, value_name = "R,C", value_parser = parse_spacing)]
    spacing: Option<Spacing>,
    /// Tolerance of the surface Dice (NSD): pixels (2 or 2px) or millimetres (1.5mm)
    #[arg(long, value_name = "PX", default_value = "2px")]
    tolerance: Tolerance,
    /// Definitions of the boundary metrics, or `all`: max_directed (MONAI), pooled (medpy), length_weighted (DeepMind),
    /// paper_released (the SALT paper's code), paper_released_open_border
    #[arg(long, value_name = "NAME", value_delimiter = ',', default_value = "max_directed")]
    definition: Vec<DefinitionChoice>,
    /// Percentile of the Hausdorff distance
    #[arg(long, value_name = "0-100", default_value_t = 95.0, value_parser = parse_percentile)]
    percentile: f64,
    /// What stands in when one mask is empty, and when both are: error, nan, infinity, diagonal, perfect or skip
    #[arg(long, value_name = "ONE,BOTH", default_value = "diagonal,perfect")]
    empty: EmptyPolicy,
    /// Endings of a file's stem that do not belong to its name
    #[arg(long, value_name = "SUFFIX", value_delimiter = ',', default_value = "_mask")]
    suffix: Vec<String>,
    #[command(flatten)]
    masks: MaskArgs,
    /// Values of predictions that are foreground, where they are others than in the references
    #[arg(long, value_name = "VALUES", value_delimiter = ',')]
    pred_foreground: Vec<Label>,
    /// The patient is the name up to this text; without it, every image counts as a patient of its own
    #[arg(long, value_name = "TEXT")]
    patient_until: Option<String>,
    /// Seed of the bootstrap
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Resamples of the bootstrap
    #[arg(long, value_name = "N", default_value_t = 10_000)]
    resamples: usize,
    /// Write cases, segments and aggregates as JSON
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Write one row per case
    #[arg(long, value_name = "FILE")]
    csv: Option<PathBuf>,
    /// Replace the files that --json and --csv name
    #[arg(long)]
    overwrite: bool,
    /// Compare with another method on the same cases: a file that --json wrote under the same protocol
    #[arg(long, value_name = "FILE")]
    compare: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy)]
enum DefinitionChoice {
    All,
    One(Definition),
}

impl FromStr for DefinitionChoice {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text.trim().eq_ignore_ascii_case("all") {
            return Ok(Self::All);
        }
        text.parse().map(Self::One).map_err(|error: MetricsError| format!("{error}, or all"))
    }
}

fn parse_percentile(text: &str) -> Result<f64, String> {
    let percentile = text.parse::<f64>().ok().filter(|p| (0.0..=100.0).contains(p));
    percentile.ok_or_else(|| format!("expected a number from 0 to 100, found `{text}`"))
}

fn parse_spacing(text: &str) -> Result<Spacing, String> {
    let number = |part: &str| part.trim().parse::<f64>().map_err(|_| format!("expected a number, found `{part}`"));
    match text.split(',').map(number).collect::<Result<Vec<f64>, String>>()?[..] {
        [row, column] => Spacing::millimetres(row, column).map_err(|error| error.to_string()),
        [both] => Spacing::millimetres(both, both).map_err(|error| error.to_string()),
        _ => Err(format!("expected R,C, found `{text}`")),
    }
}

impl Args {
    fn evaluator(&self) -> Result<Evaluator, CliError> {
        let one = |choice: &DefinitionChoice| match choice {
            DefinitionChoice::One(definition) => Some(*definition),
            DefinitionChoice::All => None,
        };
        let named: Option<Vec<Definition>> = self.definition.iter().map(one).collect();
        let definitions = named.unwrap_or_else(|| Definition::ALL.to_vec());
        let spacing = self.spacing.unwrap_or_else(Spacing::pixels);
        let protocol =
            Protocol::new(spacing, self.tolerance, self.empty)?.with_ignored_pixels(!self.masks.ignore.is_empty());
        Ok(Evaluator::new(protocol.with_percentile(self.percentile)?.with_definitions(definitions)?))
    }

    fn patient<'a>(&self, name: &'a str) -> Option<&'a str> {
        let until = self.patient_until.as_deref()?;
        name.split_once(until).map(|(patient, _)| patient).filter(|patient| !patient.is_empty())
    }
}

/// Runs the command.
pub(super) fn run(args: Args) -> CommandResult {
    let evaluator = args.evaluator()?;
    let rules = Rules::new(&args)?;
    let other = args.compare.as_deref().map(read_report).transpose()?;
    let pairing = pair_folders(&args.pred, &args.reference, &args.suffix)?;
    if let Some(first) = pairing.ignored.first() {
        eprintln!(
            "note: {} files are not masks and were ignored (the first {})",
            pairing.ignored.len(),
            first.display()
        );
    }
    let mut problems: Vec<String> = pairing.problems.iter().map(ToString::to_string).collect();
    let progress = Progress::new(pairing.pairs.len(), 0, "pairs");
    let outcomes: Vec<Result<(Case, Vec<String>), String>> = pairing
        .pairs
        .par_iter()
        .map(|pair| {
            let outcome = evaluate(&evaluator, pair, &args, &rules);
            progress.advance();
            outcome
        })
        .collect();
    progress.finish();
    let mut cases = Vec::with_capacity(outcomes.len());
    for outcome in outcomes {
        match outcome {
            Ok((case, notes)) => {
                notes.iter().for_each(|note| eprintln!("note: {note}"));
                cases.push(case);
            }
            Err(problem) => problems.push(problem),
        }
    }
    if !problems.is_empty() {
        let listed = problems.join("\n  ");
        return Err(CliError::Found(format!("{} files or pairs cannot be evaluated:\n  {listed}", problems.len())));
    }
    if cases.is_empty() {
        let (pred, reference) = (args.pred.display(), args.reference.display());
        return Err(CliError::Found(format!("{pred} and {reference} hold no masks (png, jpg, tif, gif, bmp, pgm)")));
    }
    let bootstrap = BootstrapOptions { resamples: args.resamples, seed: args.seed, ..Default::default() };
    let report = evaluator.report(cases)?;
    let aggregates = report.aggregate(&bootstrap)?;
    let comparison = match &other {
        Some(other) => {
            let metrics = evaluator.metrics().to_vec();
            Some(other.compare(&report, &CompareOptions { metrics, bootstrap, power: 0.8 })?)
        }
        None => None,
    };
    let mut out = std::io::stdout().lock();
    out.write_all(report.table(&aggregates).as_bytes())?;
    write_worst(&mut out, &report)?;
    if let (Some(comparison), Some(path)) = (&comparison, &args.compare) {
        writeln!(out, "\nThese predictions minus those of {}:\n", path.display())?;
        out.write_all(report.comparison_table(comparison).as_bytes())?;
    }
    if let Some(path) = &args.csv {
        let mut content = Vec::new();
        report.write_csv(&mut content)?;
        write_named(path, &content, args.overwrite)?;
    }
    if let Some(path) = &args.json {
        let mut content = Vec::new();
        report.write_json(&mut content, &aggregates)?;
        write_named(path, &content, args.overwrite)?;
    }
    Ok(())
}

/// One pair's values, and what the files hold beyond the masks that were read.
fn evaluate(evaluator: &Evaluator, pair: &FilePair, args: &Args, rules: &Rules) -> Result<(Case, Vec<String>), String> {
    let prediction = rules.prediction(&pair.prediction);
    let reference = read_mask(&pair.reference, &rules.references);
    let ((prediction, mut notes), (reference, more)) = match (prediction, reference) {
        (Ok(prediction), Ok(reference)) => (prediction, reference),
        (Err(first), Err(second)) => return Err(format!("{first}\n  {second}")),
        (Err(error), _) | (_, Err(error)) => return Err(error),
    };
    let mut masks = MaskPair::new(&pair.name, prediction, reference.mask).with_ignored(reference.ignored);
    masks.patient = args.patient(&pair.name).map(str::to_owned);
    notes.extend(more);
    evaluator
        .evaluate_pair(&masks)
        .map(|case| (case, notes))
        .map_err(|error| format!("{} and {}: {error}", pair.prediction.display(), pair.reference.display()))
}

/// What is foreground in the masks of either side.
struct Rules {
    predictions: MaskPolicy,
    references: MaskPolicy,
}

impl Rules {
    fn new(args: &Args) -> Result<Self, CliError> {
        let references = MaskPolicy { rule: args.masks.options().mask_rule()?, allow_empty: true };
        let foreground = args.pred_foreground.clone();
        let own = MaskRule::Labels(Labels { foreground, ..Labels::default() });
        let predictions = if args.pred_foreground.is_empty() {
            references.clone()
        } else {
            MaskPolicy { rule: own, allow_empty: true }
        };
        Ok(Self { predictions, references })
    }

    /// A predicted mask. Values that the references leave out mean nothing in a prediction.
    fn prediction(&self, path: &Path) -> Result<(Mask, Vec<String>), String> {
        let (decoded, notes) = read_mask(path, &self.predictions)?;
        if decoded.ignored.is_some() {
            let found = "expected a prediction without ignored values; --pred-foreground says what is foreground in predictions";
            return Err(format!("{}: {found}", path.display()));
        }
        Ok((decoded.mask, notes))
    }
}

fn read_mask(path: &Path, policy: &MaskPolicy) -> Result<(DecodedMask, Vec<String>), String> {
    let decoded = decode_mask(path, &Limits::default(), &ImageOptions::default(), policy);
    let (mask, losses) = decoded.map_err(|error| describe(path, &error))?;
    Ok((mask, losses.iter().map(|loss| format!("{}: {loss}", path.display())).collect()))
}

/// The error with its causes, and the file if the error does not name it.
fn describe(path: &Path, error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    let path = path.display().to_string();
    if text.contains(&path) { text } else { format!("{path}: {text}") }
}

/// The longest missed segments, which a reader will want to look at first.
fn write_worst(out: &mut impl Write, report: &Report) -> std::io::Result<()> {
    let unit = report.lock().protocol().spacing().unit();
    let mut missed: Vec<_> =
        report.cases().iter().flat_map(|case| case.missed.iter().map(move |s| (case, s))).collect();
    missed.sort_by(|a, b| b.1.length.total_cmp(&a.1.length));
    if !missed.is_empty() {
        writeln!(out, "\nLongest missed segments (row, column):")?;
    }
    for (case, segment) in missed.into_iter().take(5).filter(|(_, s)| s.length > 0.0) {
        if let (Some(first), Some(last)) = (segment.points.first(), segment.points.last()) {
            let (length, width) = (segment.length, segment.mean_width);
            writeln!(out, "  {}: {length:.1} {unit} long, {width:.1} {unit} wide, {first:?} to {last:?}", case.id)?;
        }
    }
    Ok(())
}

fn read_report(path: &Path) -> Result<Report, CliError> {
    let file = File::open(path).map_err(CliError::io("cannot read", path))?;
    Report::read_json(std::io::BufReader::new(file)).map_err(|error| CliError::file(path, error.to_string()))
}
