//! `cargo xtask pretrain`: trains the small SAM or SAM 2 that ships with the project, on generated scenes.

use super::CommandResult;
use indicatif::{ProgressBar, ProgressStyle};
use salt_cli::{CliError, out, stop_on_signal};
use sam_mini_pretrain::{Plan, PretrainOptions, Pretrained, contact_sheet, export, newest, pretrain};
use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Pre-train sam-mini or sam2-mini on generated scenes (no vessels, no download) and export its weights.
///
/// Interrupted at any point (Ctrl-C, SIGTERM, kill) the same command continues where it stopped, to the same bits. The run
/// directory holds plan.json, log.jsonl (one event per line) and checkpoints. A plan with more steps continues a run whose steps
/// so far would have been the same.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Which of the two
    #[arg(long, value_enum, default_value_t = Base::SamMini)]
    base: Base,
    /// Run directory [default: target/pretrain, of sam2-mini target/pretrain-sam2-mini]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// A plan (TOML) instead of the built-in recipe; print the recipe with --print-plan
    #[arg(long, value_name = "FILE")]
    plan: Option<PathBuf>,
    /// Seed of weights and scenes, in place of the plan's
    #[arg(long)]
    seed: Option<u64>,
    /// Threads that train; the result does not depend on it [default: the cores of this machine]
    #[arg(long)]
    threads: Option<NonZeroUsize>,
    /// Weights file to write at the end; the token goes to NAME-prompt.safetensors, the card to NAME.json [default: where the crate of
    /// that name has its weights]
    #[arg(long, value_name = "FILE")]
    export: Option<PathBuf>,
    /// Export the newest checkpoint of the run directory as it is, without training
    #[arg(long)]
    export_only: bool,
    /// Held-out scenes of the final scores, for each size
    #[arg(long, value_name = "N", default_value_t = 128)]
    scenes: u64,
    /// Write a contact sheet of scenes to this PNG and stop
    #[arg(long, value_name = "FILE")]
    sheet: Option<PathBuf>,
    /// Print the plan as TOML and stop
    #[arg(long)]
    print_plan: bool,
}

/// What can be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Base {
    SamMini,
    Sam2Mini,
}

impl Base {
    fn plan(self) -> Plan {
        match self {
            Self::SamMini => Plan::sam_mini(),
            Self::Sam2Mini => Plan::sam2_mini(),
        }
    }

    fn run_directory(self) -> PathBuf {
        PathBuf::from(match self {
            Self::SamMini => "target/pretrain",
            Self::Sam2Mini => "target/pretrain-sam2-mini",
        })
    }

    fn weights(self) -> PathBuf {
        PathBuf::from(match self {
            Self::SamMini => "crates/sam-mini/weights/sam-mini.safetensors",
            Self::Sam2Mini => "crates/sam2-mini/weights/sam2-mini.safetensors",
        })
    }
}

pub(crate) fn run(args: Args) -> CommandResult {
    let plan = read_plan(&args)?;
    let directory = args.out.clone().unwrap_or_else(|| args.base.run_directory());
    let weights = args.export.clone().unwrap_or_else(|| args.base.weights());
    if args.print_plan {
        let text = toml::to_string_pretty(&plan);
        print!("{}", text.map_err(|error| CliError::Format { format: "TOML", problem: error.to_string() })?);
        return Ok(());
    }
    if let Some(path) = &args.sheet {
        let sheet = contact_sheet(plan.seed, 128, 1.0, 6, 8);
        sheet.save(path).map_err(|source| CliError::Picture { path: path.clone(), source })?;
        out!("48 scenes of 128 px: {}", path.display())?;
        return Ok(());
    }
    let threads = args.threads.or_else(|| std::thread::available_parallelism().ok()).map_or(1, NonZeroUsize::get);
    let pretrained = if args.export_only { newest(&directory)? } else { train(&plan, &directory, threads)? };
    let (step, steps) = (pretrained.step, pretrained.plan.steps());
    out!("{step} of {steps} steps; writing weights and scoring them on held-out scenes ...")?;
    let (card, files) = export(pretrained, &weights, |rounded: &Pretrained| {
        [64, 128, 256]
            .into_iter()
            .map(|size| Ok((size, rounded.score(size, args.scenes, threads)?)))
            .collect::<Result<BTreeMap<_, _>, _>>()
    })?;
    for (size, scores) in &card.scores {
        out!(
            "{size:>4} px: Dice {:.3} (all lines, automatic), {:.3} (one object by a point), {:.3} (by a box)",
            scores.automatic,
            scores.point,
            scores.r#box
        )?;
    }
    for path in [&files.weights, &files.prompt, &files.card] {
        out!("{} ({} bytes)", path.display(), std::fs::metadata(path).map_or(0, |file| file.len()))?;
    }
    Ok(())
}

fn read_plan(args: &Args) -> Result<Plan, CliError> {
    let mut plan = match &args.plan {
        None => args.base.plan(),
        Some(path) => {
            let text = std::fs::read_to_string(path).map_err(CliError::io("cannot read", path))?;
            toml::from_str(&text).map_err(|error| CliError::file(path, error.to_string()))?
        }
    };
    plan.seed = args.seed.unwrap_or(plan.seed);
    plan.validate()?;
    Ok(plan)
}

fn train(plan: &Plan, directory: &Path, threads: usize) -> Result<Pretrained, CliError> {
    let stop = stop_on_signal()?;
    let bar = ProgressBar::new(plan.steps());
    bar.set_style(
        ProgressStyle::with_template("{bar:30} {pos}/{len} steps, {elapsed} gone, {eta} to go  {msg}")
            .unwrap_or_else(|_| ProgressStyle::default_bar()),
    );
    let options = PretrainOptions {
        directory: directory.to_path_buf(),
        threads,
        checkpoint_every: Duration::from_secs(180),
        validate_every: 200,
    };
    let mut first = true;
    let result = pretrain(plan, &options, &stop, &mut |report| {
        if first {
            // Steps of an earlier process say nothing about the speed of this one.
            bar.set_position(report.step - 1);
            bar.reset_eta();
            first = false;
        }
        bar.set_position(report.step);
        let scores = report.validation.map_or(String::new(), |scores| {
            format!(", Dice {:.3} lines, {:.3} point, {:.3} box", scores.automatic, scores.point, scores.r#box)
        });
        bar.set_message(format!("loss {:.3}{scores}", report.loss));
    });
    bar.finish_and_clear();
    Ok(result?)
}
