//! `salt data`: look at data sets before training on them, and make our own.

use super::CommandResult;
use super::reading::{ImageArgs, LimitArgs, MaskArgs, named};
use crate::error::CliError;
use crate::output_folder::exists;
use medseg_data::check::{Distribution, NEAR_DUPLICATE, Severity, VerifyOptions, fingerprint, verify};
use medseg_data::dataset::{ArcadeTask, GroundTruth, Layout, Observer, OctaField, Plexus};
use medseg_data::decode::MaskPolicy;
use medseg_data::preview::{PreviewOptions, preview, save_image};
use medseg_data::split::{SplitTable, k_folds, seeded_split};
use medseg_data::synth::{Counts, write_arcade, write_rose};
use medseg_data::{Augmentation, Dataset, OpenOptions, Pipeline, Protocol, Split};
use std::path::{Path, PathBuf};

/// Inspect, verify and preview data sets, draw splits, make synthetic data.
///
/// Recognised layouts: ARCADE (both generations), ROSE-1, ROSE-2, DRIVE, DIAS, XRay-Angio (DCA1), CHASE_DB1, OCTA-500, ROSSA,
/// and folders of images and masks. Where to get them: the manifests in datasets/.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    Inspect(Inspect),
    Verify(Verify),
    Preview(Preview),
    Split(DrawSplit),
    Synth(Synth),
}

/// Runs the chosen action.
pub(super) fn run(args: Args) -> CommandResult {
    match args.action {
        Action::Inspect(args) => inspect(&args),
        Action::Verify(args) => verify_data(&args),
        Action::Preview(args) => preview_data(&args),
        Action::Split(args) => draw_split(&args),
        Action::Synth(args) => synth(&args),
    }
}

fn json(value: &impl serde::Serialize) -> Result<String, CliError> {
    let text = serde_json::to_string_pretty(value);
    text.map_err(|error| CliError::Format { format: "JSON", problem: error.to_string() })
}

/// Names of folders that hold images and masks, where they are none of the usual ones.
#[derive(Debug, clap::Args)]
pub(super) struct Folders {
    /// Folder of images, if it is not named images, image, imgs, img or original: a name or a path below the data set
    #[arg(long, value_name = "FOLDER")]
    pub(crate) images: Option<String>,
    /// Folder of masks, if it is not named masks, labels, gt, annotations, ground_truth or the like
    #[arg(long, value_name = "FOLDER")]
    pub(crate) masks: Option<String>,
}

/// Which data set, and what to take where it offers a choice.
#[derive(Debug, clap::Args)]
struct Source {
    /// Folder of the data set, or one above it
    path: PathBuf,
    /// Insist on a layout: arcade, rose-1, rose-2, drive, dias, xray-angio, chase-db1, octa-500, rossa, folder
    #[arg(long, value_parser = named::<Layout>)]
    layout: Option<Layout>,
    #[command(flatten)]
    folders: Folders,
    /// ARCADE: syntax (vessels) or stenosis [default: syntax if it is there]
    #[arg(long, value_name = "TASK", value_parser = named::<ArcadeTask>)]
    arcade_task: Option<ArcadeTask>,
    /// ARCADE: only these categories, by id, separated by commas [default: all]
    #[arg(long, value_name = "IDS", value_delimiter = ',')]
    arcade_categories: Option<Vec<u32>>,
    /// ROSE-1: svc, dvc or svc-dvc [default: svc if it is there]
    #[arg(long, value_name = "PLEXUS", value_parser = named::<Plexus>)]
    rose_plexus: Option<Plexus>,
    /// ROSE-1: whole, thick or thin
    #[arg(long, value_name = "KIND", default_value = "whole", value_parser = named::<GroundTruth>)]
    rose_ground_truth: GroundTruth,
    /// CHASE_DB1 and DRIVE: first or second
    #[arg(long, default_value = "first", value_parser = named::<Observer>)]
    observer: Observer,
    /// OCTA-500: 3m or 6m [default: 3m if it is there]
    #[arg(long, value_name = "FIELD", value_parser = named::<OctaField>)]
    octa_field: Option<OctaField>,
    #[command(flatten)]
    masks: MaskArgs,
    #[command(flatten)]
    images: ImageArgs,
}

impl Source {
    /// Opens the data set and says everything about it.
    fn open(&self) -> Result<Dataset, CliError> {
        let data = self.recognise()?;
        data.warnings.iter().for_each(|warning| eprintln!("{warning}"));
        Ok(data)
    }

    /// Opens the data set and leaves its warnings to the caller.
    fn recognise(&self) -> Result<Dataset, CliError> {
        let options = OpenOptions {
            layout: self.layout,
            images: self.folders.images.clone(),
            masks: self.folders.masks.clone(),
            arcade_task: self.arcade_task,
            arcade_categories: self.arcade_categories.clone(),
            rose_plexus: self.rose_plexus,
            rose_ground_truth: self.rose_ground_truth,
            observer: self.observer,
            octa_field: self.octa_field,
            range: self.images.range,
            pages: self.images.pages,
            orientation: self.images.orientation,
            ..self.masks.options()
        };
        let data = Dataset::open_with(&self.path, &options)?;
        eprintln!("recognised {} in {}", data.description, data.root.display());
        data.notes.iter().for_each(|note| eprintln!("note: {note}"));
        Ok(data)
    }
}

/// Say what a data set contains: splits, sizes, intensities, foreground, vessel widths, skeletons, components
#[derive(Debug, clap::Args)]
struct Inspect {
    #[command(flatten)]
    source: Source,
    #[command(flatten)]
    limits: LimitArgs,
    /// Print the fingerprint as JSON
    #[arg(long)]
    json: bool,
}

fn inspect(args: &Inspect) -> CommandResult {
    let data = args.source.open()?;
    let print = fingerprint(&data, &args.limits.limits())?;
    if args.json {
        out!("{}", json(&print)?)?;
        return Ok(());
    }
    let listed = |map: Vec<String>| map.join(", ");
    out!("samples            {}", print.samples)?;
    out!("splits             {}", listed(print.splits.iter().map(|(k, n)| format!("{k} {n}")).collect()))?;
    out!("patients           {}", if print.patients == 0 { "not told".into() } else { print.patients.to_string() })?;
    out!("sizes (px)         {}", listed(print.sizes.iter().map(|(k, n)| format!("{k}: {n}")).collect()))?;
    out!("channels           {}", listed(print.channels.iter().map(|(k, n)| format!("{k}: {n}")).collect()))?;
    let rows: [(&str, Option<Distribution>); 7] = [
        ("mean grey", print.intensity),
        ("contrast (sd)", print.contrast),
        ("vessel - background", print.vessel_contrast),
        ("foreground share", print.foreground),
        ("vessel width (px)", print.vessel_width),
        ("skeleton (px)", print.skeleton_length),
        ("components", print.components),
    ];
    for (name, distribution) in rows {
        out!("{name:<19}{}", distribution.map_or("none".into(), |d| d.to_string()))?;
    }
    Ok(())
}

/// Decode everything and list every problem; exit code 1 if there is an error among them
///
/// Errors: unreadable files, wrong sizes, empty or multi-class masks, the same image or patient in two splits. Warnings:
/// near duplicates, duplicates within a split, sizes other than the publisher's, regions that cover no pixel, image files that
/// no sample came from, and what the reading of a file leaves out (grey levels, pages, orientation, transparency, colours).
#[derive(Debug, clap::Args)]
struct Verify {
    #[command(flatten)]
    source: Source,
    #[command(flatten)]
    limits: LimitArgs,
    /// Accept masks without foreground
    #[arg(long)]
    allow_empty: bool,
    /// Correlation from which two images are near duplicates: of their vessel-scale detail, laid over each other, as three
    /// quarters of the picture reach it
    #[arg(long, value_name = "0-1", default_value_t = NEAR_DUPLICATE, value_parser = parse_correlation, conflicts_with = "no_near")]
    near_correlation: f32,
    /// Do not look for near duplicates, only for the same pixels
    #[arg(long)]
    no_near: bool,
    /// Print the report as JSON
    #[arg(long)]
    json: bool,
}

fn parse_correlation(text: &str) -> Result<f32, String> {
    let value: Option<f32> = text.parse().ok().filter(|v| (0.0..=1.0).contains(v));
    value.ok_or_else(|| "a number from 0 to 1".to_owned())
}

fn verify_data(args: &Verify) -> CommandResult {
    let data = args.source.recognise()?;
    let options = VerifyOptions {
        limits: args.limits.limits(),
        masks: MaskPolicy { allow_empty: args.allow_empty, ..MaskPolicy::default() },
        near_duplicates: (!args.no_near).then_some(args.near_correlation),
    };
    let report = verify(&data, &options);
    if args.json {
        out!("{}", json(&report)?)?;
    } else {
        out!("{} samples: {report}", data.samples.len())?;
    }
    if report.problems.iter().any(|p| p.severity == Severity::Error) {
        return Err(CliError::Found(format!("{}: {} errors", data.root.display(), report.errors())));
    }
    Ok(())
}

/// Draw a contact sheet: every shown image plain, with its mask outlined, and augmented
#[derive(Debug, clap::Args)]
struct Preview {
    #[command(flatten)]
    source: Source,
    /// Where the sheet goes (png, jpg, tif or bmp)
    #[arg(long, value_name = "FILE", default_value = "preview.png")]
    out: PathBuf,
    /// Replace the file that --out names
    #[arg(long)]
    overwrite: bool,
    /// Samples, spread evenly over the data set
    #[arg(long, default_value_t = 8)]
    samples: usize,
    /// Augmented versions of each
    #[arg(long, default_value_t = 2)]
    augmented: usize,
    /// Side of a tile in pixels
    #[arg(long, default_value_t = 256)]
    tile: usize,
    /// Tiles in a row
    #[arg(long, default_value_t = 8)]
    columns: usize,
    /// Augment as this protocol does: default, sam2, medsam or paper
    #[arg(long, default_value = "default", value_parser = named::<Protocol>)]
    protocol: Protocol,
    /// Side of the network's square, at which the default protocol augments
    #[arg(long, value_name = "PIXELS", default_value_t = 512)]
    size: usize,
    /// Seed of the augmentation
    #[arg(long, default_value_t = 42)]
    seed: u64,
}

fn preview_data(args: &Preview) -> CommandResult {
    let data = args.source.open()?;
    let pipeline = match args.augmented {
        0 => Pipeline::new(args.protocol, args.size, Augmentation::none())?,
        _ => Pipeline::training(args.protocol, args.size)?,
    };
    let options = PreviewOptions {
        samples: args.samples,
        augmented: args.augmented,
        tile: args.tile,
        columns: args.columns,
        plain: true,
        seed: args.seed,
    };
    let sheet = preview(&data, &pipeline, &options)?;
    if args.out.exists() && !args.overwrite {
        return Err(exists(&args.out));
    }
    save_image(&args.out, &sheet.image)?;
    out!("{}: {} tiles a sample: image, mask outlined, augmented", args.out.display(), sheet.tiles)?;
    for (row, ids) in sheet.ids.chunks(sheet.samples_per_row).enumerate() {
        out!("row {}: {}", row + 1, ids.join(", "))?;
    }
    Ok(())
}

/// Draw a split by the documented seeded rule, or folds by patient, and write it as CSV
#[derive(Debug, clap::Args)]
struct DrawSplit {
    #[command(flatten)]
    source: Source,
    /// Where the table goes
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// Replace the file that --out names
    #[arg(long)]
    overwrite: bool,
    /// Name that enters the rule, as in the manifests (arcade, rose, dias, xray-angio, drive)
    #[arg(long, required_unless_present = "folds")]
    name: Option<String>,
    /// Training samples
    #[arg(long, required_unless_present = "folds")]
    train: Option<usize>,
    /// Held-out samples
    #[arg(long, required_unless_present = "folds")]
    test: Option<usize>,
    /// Folds by patient instead of a split
    #[arg(long, value_name = "K", conflicts_with_all = ["name", "train", "test"])]
    folds: Option<usize>,
    /// Divide this part only (train, val or test)
    #[arg(long)]
    part: Option<Split>,
    /// Seed of the rule
    #[arg(long, default_value_t = 42)]
    seed: u64,
}

fn draw_split(args: &DrawSplit) -> CommandResult {
    let mut data = args.source.open()?;
    if let Some(part) = args.part {
        data.retain(|sample| sample.split == Some(part));
    }
    let table: SplitTable = match (args.folds, &args.name, args.train, args.test) {
        (Some(folds), ..) => k_folds(&data.samples, folds, args.seed)?,
        (None, Some(name), Some(train), Some(test)) => {
            let ids: Vec<String> = data.samples.iter().map(|s| s.id.clone()).collect();
            seeded_split(name, &ids, train, test, args.seed)?
        }
        _ => return Err(CliError::usage("expected --folds, or --name with --train and --test")),
    };
    if args.out.exists() && !args.overwrite {
        return Err(exists(&args.out));
    }
    table.write(&args.out)?;
    out!("{}: {} rows, SHA-256 {}", args.out.display(), table.rows().len(), table.checksum())?;
    Ok(())
}

/// Make a synthetic data set in a publisher's layout; same seed, same bytes
///
/// angiogram: coronary X-ray angiograms as ARCADE/{syntax,stenosis}/{train,val,test}. octa: OCT angiograms of the retina as
/// ROSE-1/SVC/{train,test}. The masks are exact. Nothing in these images comes from a patient.
#[derive(Debug, clap::Args)]
struct Synth {
    /// angiogram or octa
    #[arg(value_parser = ["angiogram", "octa"])]
    kind: String,
    /// Folder in which the set is made
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Training images
    #[arg(long, default_value_t = 24)]
    train: usize,
    /// Validation images (angiogram only) [default: 8, octa: 0]
    #[arg(long)]
    val: Option<usize>,
    /// Test images
    #[arg(long, default_value_t = 8)]
    test: usize,
    /// Side in pixels [default: the publisher's, 512 or 304]
    #[arg(long, value_name = "PIXELS")]
    size: Option<usize>,
    /// angiogram: syntax (all vessels) or stenosis
    #[arg(long, default_value = "syntax", value_parser = named::<ArcadeTask>)]
    task: ArcadeTask,
    /// Seed
    #[arg(long, default_value_t = 42)]
    seed: u64,
}

fn synth(args: &Synth) -> CommandResult {
    let angiogram = args.kind == "angiogram";
    let val = args.val.unwrap_or(if angiogram { 8 } else { 0 });
    let counts = Counts { train: args.train, val, test: args.test };
    let write = |out: &Path| match angiogram {
        true => write_arcade(out, args.task, args.size.unwrap_or(512), counts, args.seed),
        false => write_rose(out, args.size.unwrap_or(304), counts, args.seed),
    };
    write(&args.out)?;
    out!("{}: {} images, seed {}", args.out.display(), args.train + val + args.test, args.seed)?;
    Ok(())
}
