//! `salt train`: one training run from a TOML file.

use super::CommandResult;
use crate::cache::cache_folder;
use crate::error::CliError;
use crate::progress::Progress;
use crate::shell::quoted;
use crate::signals::stop_on_signal;
use crate::text_argument::TextArgument;
use medseg_train::TrainError;
use medseg_train::checkpoint::RunLock;
use medseg_train::config::RunConfig;
use medseg_train::data::prepare;
use medseg_train::log::EpochRecord;
use medseg_train::memory::peak_resident;
use medseg_train::model::{Assets, BaseModel};
use medseg_train::session::BUNDLE_FOLDER;
use medseg_train::train::{Observer, Outcome, check_directory, train, write_bundle};
use medseg_train::{check_room, device};
use std::path::{Path, PathBuf};

/// Train one method on one data set, as a run file says.
///
/// The run directory gets checkpoints, a log and, at the end, a bundle: the trained model with everything that is needed to use it.
/// Interrupted at any point, the same command continues to the same result; a finished run is not run again.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The run file
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// The run's own directory
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    #[command(flatten)]
    text: TextArgument,
    /// Folder that keeps decompositions and text features between runs [default: SALT_CACHE_DIR, or the user's cache folder]
    #[arg(long, value_name = "DIR")]
    cache: Option<PathBuf>,
    /// Check configuration, data, model and directory, and stop
    #[arg(long)]
    check: bool,
    /// Remove what an earlier run left in --out and start over
    #[arg(long)]
    fresh: bool,
}

impl Observer for Progress {
    fn step(&self, done: u64, total: u64, loss: f64) {
        self.set(done, total);
        self.message(format!("loss {loss:.4}"));
    }

    fn epoch(&self, record: &EpochRecord) {
        let dice = record.validation_dice.map_or_else(|| "-".into(), |dice| format!("{dice:.4}"));
        self.say(&format!("epoch {:>4}  loss {:.4}  validation Dice {dice}", record.epoch + 1, record.loss));
    }

    fn warning(&self, text: &str) {
        self.say(&format!("warning: {text}"));
    }
}

/// Runs the command.
pub(super) fn run(args: Args) -> CommandResult {
    let stop = stop_on_signal()?;
    let mut config = RunConfig::read(&args.config)?;
    if !args.text.text.is_empty() {
        config.model.text.clone_from(&args.text.text);
        if args.text.clip.is_some() {
            config.model.clip.clone_from(&args.text.clip);
        }
        config.validate()?;
    }
    if config.adapter.is_none() {
        let problem =
            "the run file has no [adapter] table, so there is nothing to train; `method = \"full\"` trains all";
        return Err(CliError::file(&args.config, problem));
    }
    let data = prepare(&config.data, "data")?;
    let card = &data.card;
    eprintln!(
        "{}: {}; {} training, {} validation, {} test images ({})",
        config.data.path.display(),
        card.layout,
        card.train,
        card.validation,
        card.test,
        card.split
    );
    for note in &data.notes {
        eprintln!("  note: {note}");
    }
    let device = device::open(&config.devices[0])?;
    let cache = cache_folder(args.cache.as_deref());
    let assets = Assets { cache: cache.as_deref(), ..Assets::default() };
    let base = BaseModel::load_with(&config.model, config.data.image_size, &device, &assets)?
        .with_basis_cache(cache.as_deref());
    eprintln!("base model: {} ({} parameters)", base.card.name, base.card.parameters);
    for note in &base.notes {
        eprintln!("  note: {note}");
    }
    let (trainable, total) = base.counts(config.adapter.as_ref(), &device)?;
    eprintln!("training {trainable} of {total} parameters ({:.4} %)", 100.0 * trainable as f64 / total as f64);
    if args.check {
        match base.expected_memory(&config, data.selection().len())? {
            Some(memory) => eprintln!("expected peak of memory: {memory}"),
            None => eprintln!("expected peak of memory: not known for this model and adapter before it is trained"),
        }
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
    let base = base.at_rest(config.adapter.as_ref(), &args.out)?;
    let progress = Progress::new(0, 0, "steps");
    let outcome = train(&config, &data, &base, &args.out, &stop, &progress)?;
    progress.finish();
    if outcome.seconds > 0.0 {
        let share = |seconds: f64| 100.0 * seconds / outcome.seconds;
        let (preparing, validating) = (share(outcome.preparing_seconds), share(outcome.validating_seconds));
        eprintln!("{:.0} s: {preparing:.0} % preparing images, {validating:.0} % validation", outcome.seconds);
    }
    report(&args.out, &config, &data, &base, &outcome)?;
    if let Some(peak) = peak_resident() {
        eprintln!("peak of memory: {} MiB", peak.div_ceil(1 << 20));
    }
    Ok(())
}

fn report(
    out: &Path,
    config: &RunConfig,
    data: &medseg_train::data::PreparedData,
    base: &BaseModel,
    outcome: &Outcome,
) -> CommandResult {
    if let Some(failure) = &outcome.failure {
        return Err(CliError::Found(failure.clone()));
    }
    let bundle = out.join(BUNDLE_FOLDER);
    write_bundle(&bundle, config, data, base, out, outcome)?;
    if let (Some(epoch), Some(dice)) = (outcome.best_epoch, outcome.validation_dice) {
        out!("selected epoch {} with validation Dice {dice:.4}", epoch + 1)?;
    }
    out!("{}", bundle.display())?;
    let place = quoted(out);
    out!("next: salt score --model {place} --out {}", quoted(&out.join("scores")))?;
    out!("      salt predict --model {place} --image IMAGES --out MASKS")?;
    Ok(())
}

/// Removes the files of a run and nothing else.
fn remove_run(folder: &Path) -> CommandResult {
    let _lock = RunLock::acquire(folder)?;
    for name in ["run.toml", "identity", "log.jsonl", "outcome.toml", "best.safetensors"] {
        let path = folder.join(name);
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(TrainError::io("cannot remove", &path)(error).into());
            }
            _ => {}
        }
    }
    for name in ["checkpoints", BUNDLE_FOLDER] {
        let path = folder.join(name);
        if path.is_dir() {
            std::fs::remove_dir_all(&path).map_err(TrainError::io("cannot remove", &path))?;
        }
    }
    Ok(())
}
