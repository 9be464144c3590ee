//! `salt predict`: masks for an image or a folder of images.

mod answers;

use super::CommandResult;
use super::reading::{ImageArgs, LimitArgs, named};
use crate::cache::cache_folder;
use crate::error::CliError;
use crate::model_argument::ModelArgument;
use crate::output_folder::{OutputFolder, origin};
use crate::progress::Progress;
use crate::signals::stop_on_signal;
use crate::text_argument::TextArgument;
use answers::{Answer, names};
use medseg_data::decode::{FileKind, decode_image, not_read};
use medseg_data::transform::Tiling;
use medseg_data::{Image, Protocol};
use medseg_metrics::folders::names::is_system_file;
use medseg_train::files::sha256;
use medseg_train::session::Session;
use medseg_train::{StopFlag, TrainError};
use sam_model::{ImagePrompt, MaskAnswer, PointLabel};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// Write masks, probabilities and overlays for an image or every image of a folder.
///
/// For every image NAME.ext: NAME_mask.png (0 and 255), NAME_probability.png (255 grey levels) and NAME_overlay.png, all in
/// the image's own size. With several masks an image (--multimask, or a model of several labels) a number or the label
/// follows the name. Files of the folder that this command did not make are never replaced, removed or segmented; what
/// was made from the same image and the same model is not made again. Images that cannot be read are listed at the end,
/// and the exit code is 1.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    model: ModelArgument,
    /// An image, or a folder whose images are all segmented
    #[arg(long, value_name = "FILE|DIR")]
    image: PathBuf,
    /// Where the results go; made if it does not exist
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    #[command(flatten)]
    text: TextArgument,
    /// A point in pixels of the image: X,Y for the object, X,Y,0 for the background; several may follow
    #[arg(long, value_name = "X,Y[,1|0]", num_args = 1.., allow_negative_numbers = true)]
    points: Vec<PointArgument>,
    /// A box in pixels of the image
    #[arg(long = "box", value_name = "X0,Y0,X1,Y1", allow_negative_numbers = true)]
    bounding_box: Option<BoxArgument>,
    /// Three masks for an ambiguous prompt instead of one
    #[arg(long)]
    multimask: bool,
    /// Side of a plain checkpoint's input in pixels, a multiple of the patch size [default: the model's own]
    #[arg(long, value_name = "PIXELS")]
    input_size: Option<usize>,
    /// How a plain checkpoint's images are prepared: default, sam2, medsam (a MedSAM is told from a SAM by nothing in its file) or
    /// paper [default: the model's own]
    #[arg(long, value_name = "NAME", value_parser = named::<Protocol>)]
    protocol: Option<Protocol>,
    /// Segment an image that is larger than this in square tiles of so many of its pixels, each like an image of its own. Vessels
    /// should look as wide in a tile as in the images that the model was trained on
    #[arg(long, value_name = "PIXELS", conflicts_with_all = ["points", "bounding_box", "multimask"])]
    tile: Option<usize>,
    /// Pixels that neighbouring tiles share at least, where their logits are blended [default: an eighth of the tile]
    #[arg(long, value_name = "PIXELS", requires = "tile")]
    overlap: Option<usize>,
    #[command(flatten)]
    reading: ImageArgs,
    #[command(flatten)]
    limits: LimitArgs,
}

impl Args {
    fn tiling(&self) -> Result<Option<Tiling>, CliError> {
        let tiling = |side: usize| Tiling::new(side, self.overlap.unwrap_or(side / 8));
        let wrong = |error| CliError::usage(format!("--tile, --overlap: {error}"));
        self.tile.map(tiling).transpose().map_err(wrong)
    }
}

#[derive(Debug, Clone, Copy)]
struct PointArgument([f32; 2], PointLabel);

#[derive(Debug, Clone, Copy)]
struct BoxArgument([f32; 4]);

impl FromStr for PointArgument {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match numbers(text)?[..] {
            [x, y] | [x, y, 1.0] => Ok(Self([x, y], PointLabel::Foreground)),
            [x, y, 0.0] => Ok(Self([x, y], PointLabel::Background)),
            _ => Err(format!("expected X,Y or X,Y,1 or X,Y,0, found `{text}`")),
        }
    }
}

impl FromStr for BoxArgument {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match numbers(text)?[..] {
            [x0, y0, x1, y1] => Ok(Self([x0, y0, x1, y1])),
            _ => Err(format!("expected X0,Y0,X1,Y1, found `{text}`")),
        }
    }
}

fn numbers(text: &str) -> Result<Vec<f32>, String> {
    let number = |part: &str| match part.trim().parse::<f32>() {
        Ok(number) if number.is_finite() => Ok(number),
        _ => Err(format!("expected numbers between commas, found `{part}`")),
    };
    text.split(',').map(number).collect()
}

/// Runs the command.
pub(super) fn run(args: Args) -> CommandResult {
    let stop = stop_on_signal()?;
    let tiling = args.tiling()?;
    let mut folder = OutputFolder::open(&args.out)?;
    let (images, unread) = list_images(&args.image)?;
    let mut session = args.model.open_with(args.input_size, args.protocol, args.reading.options())?;
    let prompted = !args.points.is_empty() || args.bounding_box.is_some();
    if prompted && let Some(network) = session.segmenter().network() {
        let name = network.config().architecture.name();
        return Err(CliError::usage(format!("--points, --box: a {name} segments images alone and answers no prompts")));
    }
    if !args.text.text.is_empty() {
        if prompted {
            return Err(CliError::usage("--text: it prompts the model by itself; leave --points and --box away"));
        }
        let cache = cache_folder(args.model.cache.as_deref());
        session = session.with_texts(&args.text.text, args.text.clip.as_deref(), cache.as_deref())?;
    }
    if args.multimask && !prompted {
        return Err(CliError::usage("--multimask: several masks answer a point or a box; give --points or --box"));
    }
    if tiling.is_some() && !session.is_automatic() {
        let expected = "a model that segments without points and boxes: a run, a bundle or sam-mini";
        return Err(CliError::usage(format!("--tile: expected {expected}, found a plain checkpoint")));
    }
    if !prompted && !session.is_automatic() {
        return Err(CliError::usage("a plain checkpoint segments what it is pointed at: give --points or --box"));
    }
    let labels = labels(&args, &session, prompted)?;
    let settings = settings(&args, &session, tiling)?;
    refuse_collisions(&folder, &images, &labels)?;

    let progress = Progress::new(images.len(), 0, "images");
    let (mut written, mut failures) = (0, unread);
    let all = images.len() + failures.len();
    for (stem, path) in &images {
        if stop.is_raised() {
            return Err(TrainError::Stopped { step: written }.into());
        }
        progress.message(stem);
        let work = Work { args: &args, session: &session, labels: &labels, settings: &settings, tiling, stop: &stop };
        match work.one(&mut folder, (stem, path), prompted) {
            Ok(made) => written += u64::from(made),
            Err(error) if error.is_stop() => return Err(TrainError::Stopped { step: written }.into()),
            Err(error @ (CliError::Io { .. } | CliError::NotOurs { .. })) if !path.is_file() => return Err(error),
            Err(error) => failures.push(format!("{}: {error}", path.display())),
        }
        progress.advance();
    }
    progress.finish();
    let kept = all - written as usize - failures.len();
    out!("{all} images: {written} written, {kept} were there already, {} failed", failures.len())?;
    if failures.is_empty() { Ok(()) } else { Err(CliError::Found(failures.join("\n  "))) }
}

/// What all images have in common.
struct Work<'a> {
    args: &'a Args,
    session: &'a Session,
    labels: &'a [String],
    settings: &'a str,
    tiling: Option<Tiling>,
    stop: &'a StopFlag,
}

impl Work<'_> {
    /// One image; whether anything had to be made.
    fn one(&self, folder: &mut OutputFolder, (stem, path): (&str, &Path), prompted: bool) -> Result<bool, CliError> {
        let origin = origin(path, self.settings)?;
        if names(stem, self.labels).all(|name| folder.is_current(&name, &origin)) {
            return Ok(false);
        }
        let image = decode_image(path, &self.args.limits.limits(), &self.session.preprocessing().reading)?;
        let answers: Vec<Answer> = match self.tiling {
            Some(tiling) => answers::of_tiles(self.session, &image, tiling, self.stop)?,
            None => self.whole(&image, prompted)?.into_iter().map(Answer::from).collect(),
        };
        answers::write(folder, (stem, path), self.labels, image, answers, &origin)?;
        Ok(true)
    }

    fn whole(&self, image: &Image, prompted: bool) -> Result<Vec<MaskAnswer>, CliError> {
        if prompted {
            return Ok(self.session.prompted(image, &prompt(self.args, image)?, self.args.multimask)?);
        }
        Ok(self.session.segment(std::slice::from_ref(image))?.pop().unwrap_or_default())
    }
}

/// One name for each mask of an image; a single one needs none.
fn labels(args: &Args, session: &Session, prompted: bool) -> Result<Vec<String>, CliError> {
    let labels: Vec<String> = match (prompted, session.labels()) {
        (true, _) if args.multimask => {
            let sam = &session.segmenter().require_sam("--multimask")?.sam;
            (1..=sam.config().num_multimask_outputs).map(|i| i.to_string()).collect()
        }
        (false, labels) if labels.len() > 1 => labels.to_vec(),
        _ => vec![String::new()],
    };
    check_labels(&labels)?;
    Ok(labels)
}

/// What the results depend on besides the image, as text.
fn settings(args: &Args, session: &Session, tiling: Option<Tiling>) -> Result<String, CliError> {
    let json = |value: serde_json::Result<String>| {
        value.map_err(|error| CliError::Format { format: "JSON", problem: error.to_string() })
    };
    let points: Vec<_> = args.points.iter().map(|PointArgument(point, label)| (*point, label.code())).collect();
    let corners = args.bounding_box.map(|BoxArgument(corners)| corners);
    let preprocessing = json(serde_json::to_string(session.preprocessing()))?;
    let prompt = json(match &args.text.text[..] {
        [] => serde_json::to_string(&(points, corners, args.multimask)),
        texts => serde_json::to_string(texts),
    })?;
    let tiles = tiling.map_or_else(String::new, |t| format!("; tiles of {} px, overlap {} px", t.side(), t.overlap()));
    Ok(format!("model {}; {preprocessing}; prompt {}{tiles}", session.fingerprint(), sha256(prompt.as_bytes())))
}

/// The images by stem, and what is to be said of images in formats that are not read; two images with one stem would overwrite
/// each other's results.
fn list_images(path: &Path) -> Result<(BTreeMap<String, PathBuf>, Vec<String>), CliError> {
    let (mut images, mut unread) = (BTreeMap::new(), Vec::new());
    let mut add = |path: PathBuf| {
        let stem = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        match images.insert(stem, path.clone()) {
            None => Ok(()),
            Some(other) => {
                let problem = format!("the same name without extension as {}", other.display());
                Err(CliError::file(&path, problem))
            }
        }
    };
    if path.is_dir() {
        let entries = std::fs::read_dir(path).map_err(CliError::io("cannot read", path))?;
        let made =
            if path.join(crate::output_folder::RECORD_FILE).is_file() { Some(OutputFolder::open(path)?) } else { None };
        for entry in entries {
            let entry = entry.map_err(CliError::io("cannot read", path))?.path();
            let name = entry.file_name().unwrap_or_default().to_string_lossy().into_owned();
            let own = made.as_ref().is_some_and(|folder| folder.made(&name));
            if entry.is_dir() || is_system_file(&name) || own {
                continue;
            }
            match FileKind::of(&entry) {
                FileKind::Image => add(entry)?,
                FileKind::UnreadImage(format) => unread.push(format!("{}: {}", entry.display(), not_read(format))),
                _ => {}
            }
        }
    } else if path.exists() {
        add(path.to_owned())?;
    } else {
        return Err(CliError::file(path, "no such file or folder"));
    }
    let masks: Vec<String> = images.keys().filter(|stem| is_mask_of(stem, &images)).cloned().collect();
    if !masks.is_empty() {
        eprintln!("note: {} masks of other images (the first {}) are not segmented", masks.len(), masks[0]);
        masks.iter().for_each(|stem| drop(images.remove(stem)));
    }
    unread.sort();
    if images.is_empty() {
        let found = if unread.is_empty() { String::new() } else { format!(":\n  {}", unread.join("\n  ")) };
        return Err(CliError::file(path, format!("no images (png, jpg, tif, gif, bmp, pgm, ppm, pbm){found}")));
    }
    Ok((images, unread))
}

/// Whether a stem is that of another image with an ending that masks have.
fn is_mask_of(stem: &str, images: &BTreeMap<String, PathBuf>) -> bool {
    const ENDINGS: [&str; 7] = ["_mask", "_gt", "_label", "_seg", "_annotation", "_probability", "_overlay"];
    ENDINGS.iter().filter_map(|ending| stem.strip_suffix(ending)).any(|image| images.contains_key(image))
}

/// Before anything is computed: no result may meet a file of somebody else, nor another result.
fn refuse_collisions(
    folder: &OutputFolder,
    images: &BTreeMap<String, PathBuf>,
    labels: &[String],
) -> Result<(), CliError> {
    let mut owners: BTreeMap<String, &Path> = BTreeMap::new();
    for (stem, path) in images {
        for name in names(stem, labels) {
            folder.check(&name)?;
            if let Some(other) = owners.insert(name.clone(), path) {
                let problem = format!("its result {name} would also be that of {}", other.display());
                return Err(CliError::file(path, problem));
            }
        }
    }
    Ok(())
}

/// Labels become parts of file names; a prompt file from elsewhere must not choose where files go.
fn check_labels(labels: &[String]) -> Result<(), CliError> {
    let plain = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_' | ' ');
    for (index, label) in labels.iter().enumerate() {
        if !label.chars().all(plain) || label.len() > 100 {
            return Err(CliError::usage(format!("label {label:?}: expected letters, digits, `-`, `_` or spaces")));
        }
        if labels[..index].contains(label) || (label.is_empty() && labels.len() > 1) {
            return Err(CliError::usage(format!("label {label:?}: expected names that are not empty and differ")));
        }
    }
    Ok(())
}

/// The prompt of the command line; a point or box outside the image is a mistake, not a prompt.
fn prompt(args: &Args, image: &Image) -> Result<ImagePrompt, CliError> {
    let (width, height) = (image.width() as f32, image.height() as f32);
    let inside = |x: f32, y: f32| (0.0..=width).contains(&x) && (0.0..=height).contains(&y);
    let corners = args.bounding_box.map(|BoxArgument(corners)| corners);
    let mut marked = args.points.iter().map(|PointArgument(point, _)| *point).collect::<Vec<_>>();
    marked.extend(corners.iter().flat_map(|[x0, y0, x1, y1]| [[*x0, *y0], [*x1, *y1]]));
    if let Some([x, y]) = marked.iter().find(|[x, y]| !inside(*x, *y)) {
        return Err(CliError::usage(format!("({x}, {y}) is outside the image of {width} x {height} pixels")));
    }
    let points = args.points.iter().map(|PointArgument(point, label)| (*point, *label)).collect();
    Ok(ImagePrompt { points, bounding_box: corners, ..ImagePrompt::default() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn points_and_boxes_are_read() {
        let PointArgument(point, label) = "3,4.5".parse().unwrap();
        assert_eq!((point, label), ([3.0, 4.5], PointLabel::Foreground));
        let PointArgument(_, label) = "3,4,0".parse().unwrap();
        assert_eq!(label, PointLabel::Background);
        let BoxArgument(corners) = "1,2,3,4".parse().unwrap();
        assert_eq!(corners, [1.0, 2.0, 3.0, 4.0]);
        for text in ["", "1", "1,2,3", "1,2,0,4", "1,x", "nan,1", "inf,2"] {
            assert!(text.parse::<PointArgument>().is_err(), "{text}");
        }
        assert!("1,2,3".parse::<BoxArgument>().is_err());
    }

    #[test]
    fn labels_cannot_leave_the_folder() {
        let check = |labels: &[&str]| check_labels(&labels.iter().map(|l| l.to_string()).collect::<Vec<_>>());
        check(&[""]).unwrap();
        check(&["left artery", "vein_2"]).unwrap();
        for labels in [&["../../home"][..], &["a/b"], &["a\\b"], &["x\0"], &["a", "a"], &["a", ""]] {
            assert!(check(labels).is_err(), "{labels:?}");
        }
    }

    #[test]
    fn two_images_with_one_stem_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["a.png", "a.jpg", "notes.txt"] {
            std::fs::write(folder.path().join(name), b"").unwrap();
        }
        assert!(list_images(folder.path()).unwrap_err().to_string().contains("same name"));
        std::fs::remove_file(folder.path().join("a.jpg")).unwrap();
        assert_eq!(list_images(folder.path()).unwrap().0.len(), 1);
    }
}
