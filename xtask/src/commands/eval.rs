//! `cargo xtask eval`: score the selected checkpoint of a run.

use super::CommandResult;
use clap::ValueEnum;
use medseg_metrics::BootstrapOptions;
use medseg_train::data::prepare;
use medseg_train::evaluate::{evaluate, merged, short_name};
use medseg_train::report::overlay;
use medseg_train::train::open_run;
use medseg_train::{StopFlag, device};
use std::path::PathBuf;

/// Score the selected checkpoint of a training run on its test images: every metric, in the images' own pixels.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The directory of a finished `train` run
    #[arg(long, value_name = "DIR")]
    run: PathBuf,
    /// Which part of the run's data
    #[arg(long, value_enum, default_value = "test")]
    part: Part,
    /// Another data set, of which all parts are scored, instead of the run's own
    #[arg(long, value_name = "DIR", conflicts_with = "part")]
    data: Option<PathBuf>,
    /// Where cases.csv, results.json and overlays go
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Score the untrained base model instead, for comparison
    #[arg(long)]
    base: bool,
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

/// Runs the command.
pub(crate) fn run(args: Args) -> CommandResult {
    let opened = open_run(&args.run)?;
    let mut config = opened.config.clone();
    if let Some(folder) = &args.data {
        config.data.path.clone_from(folder);
        config.data.limit = None;
        config.data.split = medseg_train::data::SplitRule::default();
    }
    let data = prepare(&config.data, "data")?;
    let device = device::open(&config.devices[0])?;
    let model = if args.base { opened.base.segmenter() } else { opened.model };
    let model = merged(&model);
    let parts: Vec<&[medseg_train::data::Case]> = match (&args.data, args.part) {
        (Some(_), _) => vec![&data.train, &data.validation, &data.test],
        (None, Part::Test) => vec![&data.test],
        (None, Part::Validation) => vec![&data.validation],
        (None, Part::Train) => vec![&data.train],
    };
    std::fs::create_dir_all(&args.out).map_err(|error| format!("cannot create {}: {error}", args.out.display()))?;
    let mut cases = Vec::new();
    for part in parts {
        let evaluation = evaluate(&model, &data, part, &config.evaluation, &device, &StopFlag::new())?;
        for (case, pair) in part.iter().zip(&evaluation.pairs) {
            let image = case.sample.load_image(&Default::default());
            let picture = image.ok().map(|image| image.to_grey()).and_then(|grey| {
                let (width, height) = grey.size();
                let grey = image::GrayImage::from_raw(width as u32, height as u32, grey.into_data())?;
                let bits = |mask: &medseg_metrics::Mask| mask.to_bytes().iter().map(|&b| b != 0).collect::<Vec<_>>();
                overlay(&image::DynamicImage::ImageLuma8(grey), &bits(&pair.prediction), &bits(&pair.reference))
            });
            if let Some(picture) = picture {
                let path = args.out.join(format!("{}_overlay.png", case.id));
                picture.save(&path).map_err(|error| format!("cannot write {}: {error}", path.display()))?;
            }
        }
        cases.extend(evaluation.report.cases().iter().cloned());
    }
    let report = medseg_train::evaluate::evaluator(&config.evaluation)?.report(cases)?;
    let csv = args.out.join("cases.csv");
    let file = std::fs::File::create(&csv).map_err(|error| format!("cannot write {}: {error}", csv.display()))?;
    report.write_csv(file)?;
    println!("{} images", report.cases().len());
    for row in report.aggregate(&BootstrapOptions::default())? {
        let interval = row.interval.map_or_else(String::new, |(low, high)| format!("  [{low:.4}, {high:.4}]"));
        println!("{:24} {:>10.4}{interval}", short_name(row.metric), row.mean);
    }
    println!("{}", csv.display());
    Ok(())
}
