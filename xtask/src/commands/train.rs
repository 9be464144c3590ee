//! `cargo xtask train`: one training run from a TOML file.

use super::CommandResult;
use indicatif::{ProgressBar, ProgressStyle};
use medseg_train::config::RunConfig;
use medseg_train::data::prepare;
use medseg_train::log::EpochRecord;
use medseg_train::model::BaseModel;
use medseg_train::train::{Observer, check_directory, train};
use medseg_train::{StopFlag, TrainError, check_room, device};
use std::path::PathBuf;

/// Train as a run file says, on your own images and masks.
///
/// The run file is TOML: data, base model, adapter, losses, optimiser, schedule, seed. An unknown key is an error. The selected
/// weights, the log and the resolved configuration go to --out. Interrupted at any point, the same command continues to the
/// same result; a finished run is not run again.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The run file
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// The run's own directory
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Check configuration, data, model and directory, and stop
    #[arg(long)]
    check: bool,
    /// Remove what an earlier run left in --out and start over
    #[arg(long)]
    fresh: bool,
}

/// A flag that Ctrl-C and SIGTERM raise; a second signal ends the process at once.
pub(crate) fn stop_on_signal() -> Result<StopFlag, Box<dyn std::error::Error>> {
    let stop = StopFlag::new();
    let flag = stop.clone();
    ctrlc::set_handler(move || {
        if flag.is_raised() {
            std::process::exit(130);
        }
        eprintln!("stopping after this step and saving; press Ctrl-C again to end at once");
        flag.raise();
    })
    .map_err(|error| format!("cannot watch for signals: {error}"))?;
    Ok(stop)
}

/// Exit code of a run that was asked to stop and saved its state: schedulers take it for "try again".
const EXIT_TRY_AGAIN: i32 = 75;

/// Ends the process with [`EXIT_TRY_AGAIN`] when the run was asked to stop; any other failure is returned.
pub(crate) fn report_stop(error: TrainError) -> CommandResult {
    if matches!(error, TrainError::Stopped { .. }) {
        eprintln!("{error}");
        std::process::exit(EXIT_TRY_AGAIN);
    }
    Err(error.into())
}

struct Bar(ProgressBar);

impl Observer for Bar {
    fn step(&self, done: u64, total: u64, loss: f64) {
        self.0.set_length(total);
        self.0.set_position(done);
        self.0.set_message(format!("loss {loss:.4}"));
    }

    fn epoch(&self, record: &EpochRecord) {
        let dice = record.validation_dice.map_or_else(|| "-".into(), |dice| format!("{dice:.4}"));
        let line = format!("epoch {:>4}  loss {:.4}  validation Dice {dice}", record.epoch + 1, record.loss);
        if self.0.is_hidden() { eprintln!("{line}") } else { self.0.println(line) }
    }

    fn warning(&self, text: &str) {
        if self.0.is_hidden() { eprintln!("warning: {text}") } else { self.0.println(format!("warning: {text}")) }
    }
}

/// Runs the command.
pub(crate) fn run(args: Args) -> CommandResult {
    let stop = stop_on_signal()?;
    let config = RunConfig::read(&args.config)?;
    if config.adapter.is_none() {
        return Err(
            "the run file has no [adapter] table, so there is nothing to train; `method = \"full\"` trains all".into(),
        );
    }
    let data = prepare(&config.data, "data")?;
    eprintln!(
        "{}: {}; {} training, {} validation, {} test images ({})",
        config.data.path.display(),
        data.card.layout,
        data.card.train,
        data.card.validation,
        data.card.test,
        data.card.split
    );
    let base = BaseModel::load(&config.model, config.data.image_size, &device::open(&config.devices[0])?)?;
    eprintln!("base model: {} ({} parameters)", base.card.name, base.card.parameters);
    for note in &base.notes {
        eprintln!("  {note}");
    }
    let model = base.adapted(config.adapter.as_ref(), &device::open(&config.devices[0])?)?;
    let trainable = model.trainable;
    let percent = 100.0 * trainable as f64 / model.total as f64;
    eprintln!("training {trainable} of {} numbers ({percent:.4} %)", model.total);
    drop(model);
    if args.check {
        if args.fresh {
            // What an earlier run left there does not matter: it would be removed.
            check_room(&args.out, 0)?;
        } else {
            check_directory(&config, &data, &base, trainable, &args.out)?;
        }
        eprintln!("configuration, data, model and directory fit; nothing was trained");
        return Ok(());
    }
    if args.fresh && args.out.exists() {
        remove_run(&args.out)?;
    }
    let bar = ProgressBar::new(0);
    let style =
        ProgressStyle::with_template("{bar:30.cyan/dim} {pos}/{len} steps  {msg}  {elapsed} elapsed, {eta} left")?;
    bar.set_style(style);
    let observer = Bar(bar.clone());
    let outcome = match train(&config, &data, &base, &args.out, &stop, &observer) {
        Ok(outcome) => outcome,
        Err(error) => {
            bar.abandon();
            return report_stop(error);
        }
    };
    bar.finish_and_clear();
    if let Some(failure) = outcome.failure {
        return Err(failure.into());
    }
    if let (Some(epoch), Some(dice)) = (outcome.best_epoch, outcome.validation_dice) {
        println!("selected epoch {} with validation Dice {dice:.4}", epoch + 1);
    }
    println!("next: cargo xtask eval --run {0}; cargo xtask merge --run {0} --out DIR", args.out.display());
    Ok(())
}

/// Removes the files of a run and nothing else.
fn remove_run(folder: &std::path::Path) -> CommandResult {
    let fail = |error: std::io::Error| format!("cannot clear {}: {error}", folder.display());
    let _lock = medseg_train::checkpoint::RunLock::acquire(folder)?;
    for name in ["run.toml", "identity", "log.jsonl", "outcome.toml", "best.safetensors"] {
        match std::fs::remove_file(folder.join(name)) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(fail(error).into()),
            _ => {}
        }
    }
    let checkpoints = folder.join("checkpoints");
    if checkpoints.is_dir() {
        std::fs::remove_dir_all(checkpoints).map_err(fail)?;
    }
    Ok(())
}
