//! `cargo xtask predict`: masks for an image or a folder of images.

use super::CommandResult;
use image::{DynamicImage, GrayImage, RgbImage};
use indicatif::{ProgressBar, ProgressStyle};
use medseg_data::decode::{ImageOptions, Limits, decode_image};
use medseg_train::device::DeviceName;
use sam_model::{AutomaticPrompt, ImagePrompt, MaskAnswer, PointLabel, Sam, SamPredictor, draw_overlay};
use serde::Serialize;
use std::collections::BTreeMap;
use std::error::Error;
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// Write masks, probabilities and overlays for an image or every image of a folder.
///
/// For every image NAME.ext: NAME_mask.png (0 and 255), NAME_probability.png (255 grey levels) and NAME_overlay.png, all in
/// the image's own size. With several masks an image (--multimask, or an automatic prompt of several labels) a number or
/// the label follows the name. A folder that was left half done is continued where it stopped; images that cannot be read
/// are listed at the end, and the exit code is 1.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Weights: .pth or .safetensors; the configuration is read from the file or its shapes
    #[arg(long, value_name = "FILE")]
    checkpoint: PathBuf,
    /// An image, or a folder whose images are all segmented
    #[arg(long, value_name = "FILE|DIR")]
    image: PathBuf,
    /// Where the results go; made if it does not exist
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// A point in pixels of the image: X,Y for the object, X,Y,0 for the background; several may follow
    #[arg(long, value_name = "X,Y[,1|0]", num_args = 1.., allow_negative_numbers = true)]
    points: Vec<PointArgument>,
    /// A box in pixels of the image
    #[arg(long = "box", value_name = "X0,Y0,X1,Y1", allow_negative_numbers = true)]
    bounding_box: Option<BoxArgument>,
    /// Prompt tokens of a model trained for automatic segmentation (one mask per label)
    #[arg(long, value_name = "FILE", conflicts_with_all = ["points", "bounding_box", "multimask"])]
    prompt: Option<PathBuf>,
    /// Three masks for an ambiguous prompt instead of one
    #[arg(long)]
    multimask: bool,
    /// Side of the network's input in pixels, a multiple of the patch size [default: the model's own]
    #[arg(long, value_name = "PIXELS")]
    input_size: Option<usize>,
    /// Begin anew: overwrite what an earlier run with other settings left in the output folder
    #[arg(long)]
    overwrite: bool,
    /// cpu, wgpu, cuda or cuda:N
    #[arg(long, default_value = "cpu")]
    device: DeviceName,
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

/// What the results in a folder depend on; written beside them.
#[derive(Serialize)]
struct Settings<'a> {
    checkpoint: String,
    checkpoint_bytes: u64,
    /// Seconds since 1970: a checkpoint that was trained on under the same name is another one.
    checkpoint_modified: Option<u64>,
    input_size: usize,
    points: Vec<([f32; 2], i32)>,
    bounding_box: Option<[f32; 4]>,
    prompt: Option<&'a Path>,
    multimask: bool,
}

/// Runs the command.
pub(crate) fn run(args: Args) -> CommandResult {
    let images = list_images(&args.image)?;
    std::fs::create_dir_all(&args.out).map_err(|e| format!("{}: {e}", args.out.display()))?;
    let device = args.device.open()?;
    let (sam, _) = Sam::from_checkpoint(&args.checkpoint, &device)?;
    let automatic = match &args.prompt {
        Some(path) => Some(AutomaticPrompt::load(path, &device)?),
        None => None,
    };
    let mut predictor = SamPredictor::new(sam).with_cache(0);
    if let Some(side) = args.input_size {
        predictor = predictor.with_input_size(side)?;
    }
    claim_folder(&args, predictor.input_size())?;

    let labels: Vec<String> = match &automatic {
        Some((_, labels)) => labels.clone(),
        None if args.multimask => {
            (1..=predictor.model().config().num_multimask_outputs).map(|i| i.to_string()).collect()
        }
        None => vec![String::new()],
    };
    check_labels(&labels)?;
    let todo: Vec<_> = images.iter().filter(|(stem, _)| !is_done(&args.out, stem, &labels)).collect();
    let bar = ProgressBar::new(images.len() as u64);
    bar.set_style(ProgressStyle::with_template("{bar:40} {pos}/{len} {elapsed} eta {eta} {msg}")?);
    bar.inc((images.len() - todo.len()) as u64);
    let mut failures = Vec::new();
    for (stem, path) in &todo {
        bar.set_message(stem.to_string());
        let result = load(path).and_then(|image| {
            predictor.set_image(&image)?;
            let answers = match &automatic {
                Some((prompt, _)) => predictor.predict_automatic(prompt)?,
                None => predictor.predict(&[prompt(&args, &image)?], args.multimask)?.remove(0),
            };
            write_results(&args.out, stem, &labels, &image, &answers)
        });
        if let Err(error) = result {
            failures.push(format!("{}: {error}", path.display()));
        }
        bar.inc(1);
    }
    bar.finish_and_clear();
    println!(
        "{} images: {} written, {} were there already, {} failed",
        images.len(),
        todo.len() - failures.len(),
        images.len() - todo.len(),
        failures.len()
    );
    if failures.is_empty() { Ok(()) } else { Err(format!("\n  {}", failures.join("\n  ")).into()) }
}

/// The images by stem; two images with one stem would overwrite each other's results.
fn list_images(path: &Path) -> Result<BTreeMap<String, PathBuf>, Box<dyn Error>> {
    let paths: Vec<PathBuf> = if path.is_dir() {
        let entries = std::fs::read_dir(path).map_err(|e| format!("{}: {e}", path.display()))?;
        let paths: Vec<PathBuf> = entries.map(|entry| entry.map(|e| e.path())).collect::<Result<_, _>>()?;
        paths.into_iter().filter(|path| path.is_file() && has_image_extension(path)).collect()
    } else if path.exists() {
        vec![path.to_owned()]
    } else {
        return Err(format!("{}: no such file or folder", path.display()).into());
    };
    let mut images = BTreeMap::new();
    for path in paths {
        let stem = path.file_stem().ok_or_else(|| format!("{}: expected a file", path.display()))?;
        let stem = stem.to_string_lossy().into_owned();
        if let Some(other) = images.insert(stem, path.clone()) {
            let (other, path) = (other.display(), path.display());
            return Err(format!("{other} and {path} have the same name without extension").into());
        }
    }
    if images.is_empty() {
        return Err(format!("{}: no images (png, jpg, tif, gif, bmp, pgm, ppm)", path.display()).into());
    }
    Ok(images)
}

fn has_image_extension(path: &Path) -> bool {
    const EXTENSIONS: [&str; 10] = ["png", "jpg", "jpeg", "tif", "tiff", "gif", "bmp", "pgm", "ppm", "pnm"];
    path.extension().is_some_and(|e| EXTENSIONS.iter().any(|known| e.eq_ignore_ascii_case(known)))
}

/// Writes down what the results depend on, and refuses a folder with results of other settings.
fn claim_folder(args: &Args, input_size: usize) -> Result<(), Box<dyn Error>> {
    let metadata = std::fs::metadata(&args.checkpoint).map_err(|e| format!("{}: {e}", args.checkpoint.display()))?;
    let settings = Settings {
        checkpoint: args.checkpoint.file_name().unwrap_or_default().to_string_lossy().into_owned(),
        checkpoint_bytes: metadata.len(),
        checkpoint_modified: metadata
            .modified()
            .ok()
            .and_then(|time| time.duration_since(std::time::UNIX_EPOCH).ok())
            .map(|since| since.as_secs()),
        input_size,
        points: args.points.iter().map(|PointArgument(point, label)| (*point, label.code())).collect(),
        bounding_box: args.bounding_box.map(|BoxArgument(corners)| corners),
        prompt: args.prompt.as_deref(),
        multimask: args.multimask,
    };
    let text = serde_json::to_string_pretty(&settings)? + "\n";
    let path = args.out.join("predict.json");
    match std::fs::read_to_string(&path) {
        Ok(found) if found == text => return Ok(()),
        Ok(_) if !args.overwrite && !results(&args.out)?.is_empty() => {
            let reason = "holds the settings of another run; choose another --out, or --overwrite its results";
            return Err(format!("{}: {reason}", path.display()).into());
        }
        Ok(_) => remove_results(&args.out)?,
        Err(_) => {}
    }
    std::fs::write(&path, text).map_err(|e| format!("{}: {e}", path.display()).into())
}

/// Labels become parts of file names; a prompt file from elsewhere must not choose where files go.
fn check_labels(labels: &[String]) -> Result<(), Box<dyn Error>> {
    let plain = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_' | ' ');
    for (index, label) in labels.iter().enumerate() {
        if !label.chars().all(plain) || label.len() > 100 {
            return Err(format!("label {label:?}: expected letters, digits, `-`, `_` or spaces").into());
        }
        if labels[..index].contains(label) || (label.is_empty() && labels.len() > 1) {
            return Err(format!("label {label:?}: expected names that are not empty and differ").into());
        }
    }
    Ok(())
}

const KINDS: [&str; 3] = ["probability", "overlay", "mask"];

/// The results in a folder.
fn results(out: &Path) -> Result<Vec<PathBuf>, Box<dyn Error>> {
    let entries = std::fs::read_dir(out).map_err(|e| format!("{}: {e}", out.display()))?;
    let paths: Vec<PathBuf> = entries.map(|entry| entry.map(|e| e.path())).collect::<Result<_, _>>()?;
    let is_result = |path: &PathBuf| {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        KINDS.iter().any(|kind| name.ends_with(&format!("_{kind}.png")))
    };
    Ok(paths.into_iter().filter(is_result).collect())
}

/// Removes the results of a run with other settings, so that none of them is taken for one of this run.
fn remove_results(out: &Path) -> Result<(), Box<dyn Error>> {
    for path in results(out)? {
        std::fs::remove_file(&path).map_err(|e| format!("{}: {e}", path.display()))?;
    }
    Ok(())
}

fn result_path(out: &Path, stem: &str, label: &str, kind: &str) -> PathBuf {
    let label = if label.is_empty() { String::new() } else { format!("_{label}") };
    out.join(format!("{stem}{label}_{kind}.png"))
}

/// Results appear under their names only when complete, so what exists is done.
fn is_done(out: &Path, stem: &str, labels: &[String]) -> bool {
    labels.iter().all(|label| KINDS.iter().all(|kind| result_path(out, stem, label, kind).is_file()))
}

fn load(path: &Path) -> Result<DynamicImage, Box<dyn Error>> {
    let image = decode_image(path, &Limits::default(), &ImageOptions::default())?.to_rgb();
    let (width, height) = (image.width() as u32, image.height() as u32);
    let image = RgbImage::from_raw(width, height, image.into_data()).ok_or("pixels do not fill the image")?;
    Ok(image.into())
}

/// The prompt of the command line; a point or box outside the image is a mistake, not a prompt.
fn prompt(args: &Args, image: &DynamicImage) -> Result<ImagePrompt, Box<dyn Error>> {
    let (width, height) = (image.width() as f32, image.height() as f32);
    let inside = |x: f32, y: f32| (0.0..=width).contains(&x) && (0.0..=height).contains(&y);
    let corners = args.bounding_box.map(|BoxArgument(corners)| corners);
    let mut marked = args.points.iter().map(|PointArgument(point, _)| *point).collect::<Vec<_>>();
    marked.extend(corners.iter().flat_map(|[x0, y0, x1, y1]| [[*x0, *y0], [*x1, *y1]]));
    if let Some([x, y]) = marked.iter().find(|[x, y]| !inside(*x, *y)) {
        return Err(format!("({x}, {y}) is outside the image of {width} x {height} pixels").into());
    }
    let points = args.points.iter().map(|PointArgument(point, label)| (*point, *label)).collect();
    Ok(ImagePrompt { points, bounding_box: corners, ..ImagePrompt::default() })
}

fn write_results(
    out: &Path,
    stem: &str,
    labels: &[String],
    image: &DynamicImage,
    answers: &[MaskAnswer],
) -> Result<(), Box<dyn Error>> {
    let rgb = image.to_rgb8();
    for (label, answer) in labels.iter().zip(answers) {
        let mask: GrayImage = answer.to_mask();
        let results: [DynamicImage; 3] =
            [answer.to_probabilities().into(), draw_overlay(&rgb, &mask).into(), mask.into()];
        for (kind, result) in KINDS.iter().zip(results) {
            let path = result_path(out, stem, label, kind);
            let partial = path.with_extension("png.partial");
            result.save_with_format(&partial, image::ImageFormat::Png)?;
            std::fs::rename(&partial, &path).map_err(|e| format!("{}: {e}", path.display()))?;
        }
    }
    Ok(())
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
        assert_eq!(list_images(folder.path()).unwrap().len(), 1);
    }
}
