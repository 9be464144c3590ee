//! `salt score`: every metric of a model on a data set's images.

use super::CommandResult;
use crate::error::CliError;
use crate::model_argument::ModelArgument;
use crate::output_folder::{Origin, OutputFolder};
use crate::progress::Progress;
use clap::ValueEnum;
use medseg_metrics::BootstrapOptions;
use medseg_train::StopFlag;
use medseg_train::config::EvaluationConfig;
use medseg_train::data::{Case, DataConfig, SplitRule, prepare};
use medseg_train::evaluate::{evaluate, evaluator, short_name};
use medseg_train::overlay::case_overlay;
use medseg_train::session::Session;
use std::path::PathBuf;

/// Score a model on images with masks: every metric, in the images' own pixels, with intervals.
///
/// A trained model is scored on the test images of its own data set unless --part or --data says otherwise; a plain model needs
/// --data. The masks are those that `salt predict` writes, bit for bit.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    model: ModelArgument,
    /// Which part of the model's own data set
    #[arg(long, value_enum, default_value = "test")]
    part: Part,
    /// Another data set, of which all parts are scored, instead of the model's own
    #[arg(long, value_name = "DIR", conflicts_with = "part")]
    data: Option<PathBuf>,
    /// Folder for cases.csv and overlays; without it, the scores are only printed
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Score the untrained base instead, for comparison
    #[arg(long)]
    untrained: bool,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Part {
    /// Images held out
    Test,
    /// Images that chose the checkpoint
    Validation,
    /// Images trained on
    Train,
}

/// The data and the metrics: the model's own, or the defaults on another folder.
fn settings(args: &Args, session: &Session) -> Result<(DataConfig, EvaluationConfig), CliError> {
    let run = session.manifest().and_then(|manifest| manifest.provenance.as_ref()).map(|from| from.run.clone());
    let (mut data, evaluation) = match (run, &args.data) {
        (Some(run), _) => (run.data, run.evaluation),
        (None, Some(folder)) => (DataConfig::new(folder), EvaluationConfig::default()),
        (None, None) => {
            return Err(CliError::usage("this model has no data set of its own: say which with --data DIR"));
        }
    };
    if let Some(folder) = &args.data {
        data.path.clone_from(folder);
        data.limit = None;
        data.split = SplitRule::default();
    }
    let preprocess = session.preprocessing().preprocess;
    (data.protocol, data.image_size) = (preprocess.protocol(), preprocess.size());
    // One image at a time, as `predict` does: sums of larger batches may end in other last bits.
    Ok((data, EvaluationConfig { batch_size: 1, ..evaluation }))
}

/// Runs the command.
pub(super) fn run(args: Args) -> CommandResult {
    let session = args.model.open()?;
    let (data, metrics) = settings(&args, &session)?;
    let data = prepare(&data, "data")?;
    let device = args.model.device.open()?;
    let model = match (args.untrained, session.base()) {
        (false, _) if !session.is_automatic() => {
            return Err(CliError::usage("a plain checkpoint has no trained prompt, so there is nothing to score"));
        }
        (false, _) => session.segmenter().clone(),
        (true, Some(base)) => base.segmenter(),
        (true, None) => return Err(CliError::usage("--untrained: this model was stored whole, without its base")),
    };
    let parts: Vec<&[Case]> = match (&args.data, args.part) {
        (Some(_), _) => vec![&data.train, &data.validation, &data.test],
        (None, Part::Test) => vec![&data.test],
        (None, Part::Validation) => vec![data.selection()],
        (None, Part::Train) => vec![&data.train],
    };
    let mut folder = args.out.as_deref().map(OutputFolder::open).transpose()?;
    let origin = Origin {
        input: args.model.model.clone(),
        bytes: 0,
        sha256: data.card.sha256.clone(),
        settings: format!("score {:?} {}", args.part, metrics.batch_size),
    };
    let progress = Progress::new(parts.iter().map(|part| part.len()).sum(), 0, "images");
    let mut cases = Vec::new();
    for case in parts.into_iter().flatten() {
        progress.message(&case.id);
        let one = std::slice::from_ref(case);
        let evaluation = evaluate(&model, &data, one, &metrics, &device, &StopFlag::new())?;
        if let (Some(folder), Some(pair)) = (&mut folder, evaluation.pairs.first())
            && let Some(picture) = case_overlay(case, pair)?
        {
            let name = format!("{}_overlay.png", case.id.replace(['/', '\\'], "_"));
            folder.write(&name, &crate::picture::png(&picture, &folder.path(&name))?, &origin)?;
        }
        cases.extend(evaluation.report.cases().iter().cloned());
        progress.advance();
    }
    progress.finish();
    let report = evaluator(&metrics)?.report(cases)?;
    out!("{} images", report.cases().len())?;
    for row in report.aggregate(&BootstrapOptions::default())? {
        let interval = row.interval.map_or_else(String::new, |(low, high)| format!("  [{low:.4}, {high:.4}]"));
        out!("{:24} {:>10.4}{interval}", short_name(row.metric), row.mean)?;
    }
    if let Some(folder) = &mut folder {
        let mut rows = Vec::new();
        report.write_csv(&mut rows)?;
        out!("{}", folder.write("cases.csv", &rows, &origin)?.display())?;
    }
    Ok(())
}
