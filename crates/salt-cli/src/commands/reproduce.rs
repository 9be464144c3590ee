//! `salt reproduce`: the comparison of methods, from data to report.

use super::CommandResult;
use super::data::Folders;
use crate::cache::cache_folder;
use crate::error::CliError;
use crate::live_view::LiveView;
use crate::output_folder::{Origin, OutputFolder};
use crate::precision_argument::PrecisionArgument;
use crate::signals::stop_on_signal;
use crate::text_argument::TextArgument;
use clap::ValueEnum;
use medseg_data::OpenOptions;
use medseg_study::TableChoice;
use medseg_study::comparison::{Cell, Comparison, Profile, Runner};
use medseg_study::ledger::ledger;
use medseg_study::parameters::Parameters;
use medseg_study::published::Published;
use medseg_study::report::{FILES, Origin as Whose, findings, ledger_tables, report};
use medseg_study::results::Results;
use medseg_train::config::Precision;
use std::path::{Path, PathBuf};

/// Compare full fine-tuning, S-SAM, LoRA and SALT with the untrained base, random weights and classic networks, and write a report.
///
/// Without arguments: makes two small synthetic data sets, trains every method on them from the small SAM that comes with the
/// program, and writes results.json, report.md and report.html. That is the demo profile: no download, minutes on two
/// cores, no published figure reproduced. With --data the same runs on your own data sets; with --profile paper the
/// paper's recipe runs on SAM ViT-B (hours on a GPU).
///
/// Interrupted at any point (Ctrl-C, a time limit, a power cut), the same command continues; finished cells are never run again.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Your data instead of the synthetic sets: a data set, or a folder of data sets; may be repeated
    #[arg(long, value_name = "DIR")]
    data: Vec<PathBuf>,
    #[command(flatten)]
    folders: Folders,
    /// What to run: the demonstration and its budget, or the paper's recipe (needs --sam and --data)
    #[arg(long, value_enum, default_value = "demo")]
    profile: ProfileChoice,
    /// SAM or SAM 2 checkpoint (.pth, .pt or .safetensors); for the paper's profile sam_vit_b_01ec64.pth, with --table sam2
    /// sam2.1_hiera_base_plus.pt, or `random` to try it out
    #[arg(long, value_name = "FILE|random")]
    sam: Option<String>,
    #[command(flatten)]
    text: TextArgument,
    #[command(flatten)]
    precision: PrecisionArgument,
    /// Which tables
    #[arg(long, value_enum, default_value = "main")]
    table: TableArgument,
    /// Only these methods, by id (see --plan), separated by commas; beside those of the table also sam-box, sam-points-1,
    /// sam-points-3 (the base, prompted with the reference mask), medsam-box (for MedSAM's checkpoint), sam-text (with --text) and every row of
    /// future-work and precision
    #[arg(long, value_name = "IDS", value_delimiter = ',')]
    methods: Vec<String>,
    /// Where everything goes
    #[arg(long, value_name = "DIR", default_value = "target/reproduce")]
    out: PathBuf,
    /// Folder that keeps decompositions between runs [default: SALT_CACHE_DIR, or the user's cache folder]
    #[arg(long, value_name = "DIR")]
    cache: Option<PathBuf>,
    /// Seeds of every cell, separated by commas [default: 0]
    #[arg(long, value_name = "N", value_delimiter = ',')]
    seeds: Vec<u64>,
    /// Learning rates that every method tries, separated by commas [default: the profile's]
    #[arg(long, value_name = "RATE", value_delimiter = ',')]
    rates: Vec<f64>,
    /// Passes over the training images [default: the profile's]
    #[arg(long, value_name = "N")]
    epochs: Option<usize>,
    /// Images per step [default: the profile's]
    #[arg(long, value_name = "N")]
    batch_size: Option<usize>,
    /// Side of the network's input in pixels [default: 128 for the synthetic sets (256 with --table sam2), 256
    /// with --data, 512 for the paper]
    #[arg(long, value_name = "PIXELS")]
    image_size: Option<usize>,
    /// At most this many training, validation and test images of each data set, for example 60,20,50
    #[arg(long, value_name = "N,N,N", value_parser = three_counts)]
    limit: Option<[usize; 3]>,
    /// Cells at a time [default: one per core for a small model on the CPU, else 1]
    #[arg(long, value_name = "N")]
    jobs: Option<usize>,
    /// Devices that share every batch: cpu, wgpu, cuda, cuda:1, remote:HOST:PORT, separated by commas
    #[arg(long, value_name = "NAMES", value_delimiter = ',', default_value = "cpu")]
    devices: Vec<String>,
    /// Check data, model and methods, print what would run, and stop
    #[arg(long, group = "mode")]
    check: bool,
    /// Print one line per cell for a job array, and stop
    #[arg(long, group = "mode")]
    plan: bool,
    /// Run one cell of the plan, by its number, without writing a report
    #[arg(long, value_name = "I", group = "mode")]
    cell: Option<usize>,
    /// Run nothing: write the report of the cells that are finished
    #[arg(long, group = "mode")]
    collect: bool,
    /// Run nothing: print every figure that the paper prints with the command that would run it and its state, by the
    /// results.json in --out, where there is one
    #[arg(long, group = "mode")]
    ledger: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum ProfileChoice {
    /// Small SAM, small budget
    Demo,
    /// The paper's recipe on SAM ViT-B at 512 px
    Paper,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum TableArgument {
    /// The main comparison
    Main,
    /// SALT with update ranks 4 to 256
    AblationLora,
    /// SALT with 700 to 200 scaled singular values
    AblationRank,
    /// The comparison on SAM 2: on sam2-mini, or the SAM 2 checkpoint of --sam
    Sam2,
    /// What the paper leaves for the future: rank rules against fixed ranks, losses for thin structures
    FutureWork,
    /// SALT, LoRA and full fine-tuning with products in f32 beside the same in bf16 (on AMX also -f32-amx, on a GPU -f16, by --methods)
    Precision,
    /// All of the paper's that the base model has
    All,
}

impl From<TableArgument> for TableChoice {
    fn from(choice: TableArgument) -> Self {
        match choice {
            TableArgument::Main => Self::Main,
            TableArgument::AblationLora => Self::AblationLora,
            TableArgument::AblationRank => Self::AblationRank,
            TableArgument::Sam2 => Self::Sam2,
            TableArgument::FutureWork => Self::FutureWork,
            TableArgument::Precision => Self::Precision,
            TableArgument::All => Self::All,
        }
    }
}

/// Runs the command.
pub fn run(args: Args) -> CommandResult {
    let published = Published::paper()?;
    if args.ledger {
        return print_ledger(&published, &args.out);
    }
    let stop = stop_on_signal()?;
    let profile = profile(&args)?;
    eprintln!("{}", profile.notice);
    let mut runner = Runner::new(&profile, stop);
    if let Some(jobs) = args.jobs {
        runner.jobs = jobs.max(1);
    }
    let comparison = Comparison::prepare(
        profile,
        args.table.into(),
        &args.methods,
        &args.out,
        cache_folder(args.cache.as_deref()).as_deref(),
    )?;
    eprintln!("base model: {}", comparison.base().name);
    for note in comparison.notes() {
        eprintln!("  {note}");
    }
    if args.check {
        return check(&comparison);
    }
    if args.plan {
        for cell in &comparison.cells {
            out!("{}\t{}\t{}\tseed {}", cell.index, cell.dataset, cell.method, cell.seed)?;
        }
        return Ok(());
    }
    let chosen: Vec<Cell> = match args.cell {
        None => comparison.cells.clone(),
        Some(index) => {
            let all = comparison.cells.len();
            let cell = comparison.cells.get(index);
            let unknown = || CliError::usage(format!("--cell {index}: the plan has cells 0 to {}", all - 1));
            vec![cell.ok_or_else(unknown)?.clone()]
        }
    };
    // Hours later would be late to learn that a report of somebody else lies where ours goes.
    let mut folder = OutputFolder::open(&args.out)?;
    FILES.iter().try_for_each(|name| folder.check(name))?;
    if !args.collect {
        let view = LiveView::new(chosen.len());
        let ended = comparison.run(&chosen, &runner, &view);
        view.close();
        ended?;
    }
    if args.cell.is_some() {
        return Ok(());
    }
    let results = comparison.collect()?;
    if results.cells.is_empty() {
        return Err(CliError::Found(format!("no finished cell of this plan under {}", args.out.display())));
    }
    let made = report(&results, &published, &args.out)?;
    let origin = Origin { input: String::new(), bytes: 0, sha256: String::new(), settings: "reproduce".into() };
    for table in made.tables.iter().filter(|table| table.origin == Whose::Own) {
        out!("{}", table.to_text())?;
    }
    for sentence in findings(&results)? {
        out!("{sentence}")?;
    }
    for cell in &results.missing {
        eprintln!("missing: {cell}");
    }
    for (name, content) in &made.files {
        out!("{}", folder.write(name, content, &origin)?.display())?;
    }
    Ok(())
}

/// The claims of the paper, by the results in a folder.
fn print_ledger(published: &Published, out: &Path) -> CommandResult {
    let path = out.join(FILES[0]);
    let results = Results::read(&path)?;
    match &results {
        Some(results) => eprintln!("{}: {} profile, base {}", path.display(), results.profile, results.base.name),
        None => eprintln!("{}: no results here, so nothing was run", path.display()),
    }
    let lines = ledger(published, &Parameters::paper()?, results.as_ref())?;
    for table in ledger_tables(published, &lines) {
        out!("{}", table.to_text())?;
    }
    Ok(())
}

/// The value of `--limit`.
fn three_counts(text: &str) -> Result<[usize; 3], String> {
    let wrong = || format!("expected three numbers, as in 60,20,50, found {text:?}");
    let counts: Vec<usize> = text.split(',').map(str::parse).collect::<Result<_, _>>().map_err(|_| wrong())?;
    counts.try_into().map_err(|_| wrong())
}

fn check(comparison: &Comparison) -> CommandResult {
    out!("{:24} {:>14} {:>14} {:>9}", "method", "trained", "all", "share")?;
    for method in comparison.methods()? {
        let share = format!("{:.4} %", method.percent());
        out!("{:24} {:>14} {:>14} {share:>9}", method.title, method.trainable, method.total)?;
    }
    out!("{} cells; data, model and methods fit; nothing was trained", comparison.cells.len())?;
    Ok(())
}

fn profile(args: &Args) -> Result<Profile, CliError> {
    let options = OpenOptions {
        images: args.folders.images.clone(),
        masks: args.folders.masks.clone(),
        ..OpenOptions::default()
    };
    if args.data.is_empty() && options != OpenOptions::default() {
        return Err(CliError::usage("--images, --masks: they name folders of --data, which is not given"));
    }
    let mut profile = match args.profile {
        ProfileChoice::Paper => {
            let missing = |name: &str| CliError::usage(format!("{name}: the paper's profile needs it"));
            let sam = args.sam.as_deref().ok_or_else(|| missing("--sam"))?;
            if args.data.is_empty() {
                return Err(missing("--data"));
            }
            Profile::paper(sam, &args.data, &options)?
        }
        ProfileChoice::Demo if args.data.is_empty() => Profile::demo(),
        ProfileChoice::Demo => Profile::data(&args.data, &options, args.image_size.unwrap_or(256))?,
    };
    profile = profile.for_table(args.table.into(), args.sam.as_deref());
    profile.template.model.text.clone_from(&args.text.text);
    profile.template.model.clip.clone_from(&args.text.clip);
    let shortened =
        args.epochs.is_some() || args.image_size.is_some() || args.limit.is_some() || !args.rates.is_empty();
    let rounded = args.precision.precision.is_some_and(|precision| precision != Precision::F32);
    if args.profile == ProfileChoice::Paper && (shortened || rounded) {
        profile.name = "paper, shortened";
        profile.notice.push_str(
            " Epochs, image size, rates, images or precision differ from the paper's: no figure can be compared.",
        );
    }
    if let Some(epochs) = args.epochs {
        profile.template.training.epochs = epochs;
    }
    if let Some(batch) = args.batch_size {
        profile.template.training.batch_size = batch;
    }
    for source in &mut profile.datasets {
        if let Some(size) = args.image_size {
            source.config.image_size = size;
        }
        if args.limit.is_some() {
            source.config.limit = args.limit;
        }
    }
    if !args.rates.is_empty() {
        profile.rates.clone_from(&args.rates);
    }
    if !args.seeds.is_empty() {
        profile.seeds.clone_from(&args.seeds);
    }
    profile.template.devices.clone_from(&args.devices);
    if let Some(precision) = args.precision.precision {
        profile.template.training.precision = precision;
    }
    Ok(profile)
}
