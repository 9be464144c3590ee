//! `salt evaluate`, from the outside.

use assert_cmd::Command;
use image::codecs::gif::GifEncoder;
use image::{DynamicImage, Frame, GrayImage, Luma};
use medseg_metrics::{Definition, Metric, Report};
use predicates::prelude::*;
use predicates::str::contains;
use std::path::{Path, PathBuf};

/// Two folders of masks that remove themselves.
struct Folders {
    root: tempfile::TempDir,
}

impl Folders {
    fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        ["pred", "ref"].iter().for_each(|name| std::fs::create_dir(root.path().join(name)).unwrap());
        Self { root }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.root.path().join(name)
    }

    fn command(&self) -> Command {
        let mut command = Command::cargo_bin("salt").unwrap();
        command.args(["evaluate", "--resamples", "200"]);
        command.arg("--pred").arg(self.path("pred")).arg("--ref").arg(self.path("ref"));
        command
    }
}

/// White bars of 6 rows, `shift` columns to the right.
fn bar(width: u32, height: u32, shift: u32) -> GrayImage {
    let inside = move |x: u32, y: u32| (4 + shift..24 + shift).contains(&x) && (10..16).contains(&y);
    GrayImage::from_fn(width, height, |x, y| Luma([if inside(x, y) { 255 } else { 0 }]))
}

fn save(mask: &GrayImage, path: impl AsRef<Path>) {
    let picture = DynamicImage::ImageLuma8(mask.clone());
    let gif = path.as_ref().extension().is_some_and(|e| e == "gif");
    let picture = if gif { DynamicImage::ImageRgba8(picture.to_rgba8()) } else { picture };
    picture.save(path).unwrap();
}

fn column(csv: &str, name: &str) -> Vec<String> {
    let mut lines = csv.lines().map(|line| line.split(',').collect::<Vec<_>>());
    let at =
        lines.next().unwrap().iter().position(|field| *field == name).unwrap_or_else(|| panic!("no column {name}"));
    lines.map(|fields| fields[at].to_owned()).collect()
}

#[test]
fn every_format_and_suffix_finds_its_partner() {
    let folders = Folders::new();
    let formats = ["png", "bmp", "tif", "gif", "pgm"];
    for (i, format) in formats.iter().enumerate() {
        save(&bar(60, 40, 3), folders.path(&format!("pred/case{i}_mask.{format}")));
        save(&bar(60, 40, 0), folders.path(&format!("ref/case{i}.{}", formats[(i + 1) % 5])));
    }
    std::fs::write(folders.path("pred/notes.txt"), "not a mask").unwrap();
    let (csv, json) = (folders.path("cases.csv"), folders.path("cases.json"));
    let mut command = folders.command();
    command.arg("--csv").arg(&csv).arg("--json").arg(&json);
    command
        .assert()
        .success()
        .stdout(contains("5 cases").and(contains("hd95_max_directed_px")))
        .stderr(contains("1 files"));
    let text = std::fs::read_to_string(csv).unwrap();
    assert_eq!(column(&text, "id"), ["case0", "case1", "case2", "case3", "case4"]);
    assert_eq!(column(&text, "hd95_max_directed_px"), ["3"; 5]);
    let report = Report::read_json(std::fs::File::open(json).unwrap()).unwrap();
    assert_eq!(report.cases()[4].value(Metric::HausdorffPercentile(Definition::MaxDirected)), Some(3.0));
    assert!(!folders.path("cases.json.partial").exists());
}

#[test]
fn all_definitions_give_what_the_libraries_give() {
    let fixtures = match std::env::var_os("SALT_PARITY_DIR") {
        Some(folder) => PathBuf::from(folder),
        None => Path::new(env!("CARGO_MANIFEST_DIR")).join("../medseg-metrics/tests/fixtures"),
    };
    let golden: serde_json::Value =
        serde_json::from_slice(&std::fs::read(fixtures.join("metrics_golden.json")).unwrap()).unwrap();
    let bytes = std::fs::read(fixtures.join("metrics_masks.safetensors")).unwrap();
    let tensors = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    let folders = Folders::new();
    let defined: Vec<&serde_json::Value> = golden
        .as_array()
        .unwrap()
        .iter()
        .filter(|row| row["spacing"] == serde_json::json!([0.8, 1.7]) && row["medpy.hd95"].is_number())
        .collect();
    for (name, folder) in [("pred", "pred"), ("ref", "ref")] {
        let tensor = tensors.tensor(name).unwrap();
        let [_, height, width] = tensor.shape()[..] else { panic!("{:?}", tensor.shape()) };
        for (row, mask) in golden.as_array().unwrap().iter().zip(tensor.data().chunks(height * width)) {
            if defined.contains(&row) {
                let mask = GrayImage::from_raw(width as u32, height as u32, mask.to_vec()).unwrap();
                save(&mask, folders.path(&format!("{folder}/{}.png", row["name"].as_str().unwrap())));
            }
        }
    }
    let csv = folders.path("cases.csv");
    let mut command = folders.command();
    // One of the masks is foreground all over: without a word, nobody can tell that from background all over.
    command.args(["--definition", "all", "--spacing", "0.8,1.7", "--tolerance", "2mm", "--foreground", "1"]);
    command.arg("--csv").arg(&csv);
    command.assert().success().stdout(contains("MONAI").and(contains("medpy")).and(contains("surface-distance")));
    let text = std::fs::read_to_string(csv).unwrap();
    let ids = column(&text, "id");
    assert_eq!(ids.len(), 9);
    for (metric, name) in [
        ("monai.hd95", "hd95_max_directed_mm"),
        ("medpy.hd95", "hd95_pooled_mm"),
        ("deepmind.hd95", "hd95_length_weighted_mm"),
        ("salt.hd95", "hd95_paper_released_mm"),
        ("medpy.assd", "assd_pooled_mm"),
        ("deepmind.nsd_2", "nsd_2mm_length_weighted"),
        ("dice", "dice"),
    ] {
        for (id, found) in ids.iter().zip(column(&text, name)) {
            let row = defined.iter().find(|row| row["name"].as_str() == Some(id)).unwrap();
            let (found, expected) = (found.parse::<f64>().unwrap(), row[metric].as_f64().unwrap());
            assert!((found - expected).abs() <= 1e-5 * expected, "{id} {metric}: {found}, {expected}");
        }
    }
}

#[test]
fn every_bad_file_is_listed_and_nothing_is_written() {
    let folders = Folders::new();
    save(&bar(60, 40, 0), folders.path("pred/good.png"));
    save(&bar(60, 40, 0), folders.path("ref/good.png"));
    save(&bar(60, 40, 0), folders.path("pred/only_predicted.png"));
    save(&bar(60, 40, 0), folders.path("ref/only_wanted.png"));
    save(&bar(60, 40, 0), folders.path("pred/sizes.png"));
    save(&bar(61, 40, 0), folders.path("ref/sizes.png"));
    save(&bar(60, 40, 0), folders.path("pred/twice.png"));
    save(&bar(60, 40, 0), folders.path("pred/twice_mask.bmp"));
    save(&bar(60, 40, 0), folders.path("ref/twice.png"));
    save(&bar(60, 40, 0), folders.path("ref/broken.png"));
    let whole = std::fs::read(folders.path("ref/broken.png")).unwrap();
    std::fs::write(folders.path("pred/broken.png"), &whole[..whole.len() / 2]).unwrap();
    let csv = folders.path("cases.csv");
    let mut command = folders.command();
    let listed = ["only_predicted.png", "only_wanted.png", "40 x 60", "40 x 61", "twice_mask.bmp", "broken.png"];
    let output =
        command.arg("--csv").arg(&csv).assert().code(1).stderr(contains("5 files or pairs")).get_output().clone();
    let stderr = String::from_utf8(output.stderr).unwrap();
    listed.iter().for_each(|text| assert!(stderr.contains(text), "{text} in\n{stderr}"));
    assert!(!stderr.contains("good.png") && output.stdout.is_empty() && !csv.exists());
}

#[test]
fn folders_without_masks_or_absent_are_errors() {
    let folders = Folders::new();
    folders.command().assert().code(1).stderr(contains("hold no masks"));
    let mut command = Command::cargo_bin("salt").unwrap();
    command
        .args(["evaluate", "--pred", "/nowhere/at/all", "--ref", "."])
        .assert()
        .code(1)
        .stderr(contains("/nowhere/at/all"));
}

#[test]
fn wrong_arguments_are_told_apart_from_failures() {
    let folders = Folders::new();
    save(&bar(60, 40, 0), folders.path("pred/a.png"));
    save(&bar(60, 40, 1), folders.path("ref/a.png"));
    let with = |arguments: &[&str]| {
        let mut command = folders.command();
        command.args(arguments).assert()
    };
    with(&["--spacing", "0,1"]).code(2).stderr(contains("must be positive"));
    with(&["--tolerance", "two"]).code(2).stderr(contains("2px or 1.5mm"));
    with(&["--empty", "zero"]).code(2).stderr(contains("diagonal"));
    with(&["--threshold", "0"]).code(2);
    with(&["--definition", "monai"]).code(2).stderr(contains("max_directed"));
    with(&["--percentile", "101"]).code(2).stderr(contains("101"));
    with(&["--spacing", "1,2"]).code(1).stderr(contains("not square"));
    with(&["--tolerance", "2mm"]).code(1).stderr(contains("spacing in millimetres"));
    with(&["--spacing", "1,2", "--tolerance", "2mm"]).success();
}

#[test]
fn empty_masks_follow_the_policy() {
    let folders = Folders::new();
    save(&GrayImage::new(30, 40), folders.path("pred/a.png"));
    save(&bar(30, 40, 0), folders.path("ref/a.png"));
    let hd95 = |policy: &str| {
        let csv = folders.path("cases.csv");
        let mut command = folders.command();
        command.args(["--empty", policy, "--overwrite"]).arg("--csv").arg(&csv).assert().success();
        column(&std::fs::read_to_string(csv).unwrap(), "hd95_max_directed_px").remove(0)
    };
    assert_eq!([hd95("diagonal"), hd95("infinity"), hd95("skip"), hd95("perfect")], ["50", "inf", "", "0"]);
    let mut refusing = folders.command();
    refusing
        .args(["--empty", "error"])
        .assert()
        .code(1)
        .stderr(contains("the prediction is empty").and(contains("a.png")));
}

#[test]
fn methods_are_compared_under_one_protocol_only() {
    let folders = Folders::new();
    for i in 0..12 {
        save(&bar(80, 40, i % 3), folders.path(&format!("ref/p{}_{i}.png", i / 2)));
        save(&bar(80, 40, i % 3 + 4), folders.path(&format!("pred/p{}_{i}.png", i / 2)));
    }
    let json = folders.path("first.json");
    let patients = ["--patient-until", "_"];
    folders.command().args(patients).arg("--json").arg(&json).assert().success();
    for i in 0..12 {
        save(&bar(80, 40, i % 3 + 1), folders.path(&format!("pred/p{}_{i}.png", i / 2)));
    }
    let compare = |arguments: &[&str]| {
        let mut command = folders.command();
        command.args(arguments).arg("--compare").arg(&json).assert()
    };
    let output = compare(&patients)
        .success()
        .stdout(contains("minus those of").and(contains("detectable")))
        .get_output()
        .clone();
    let stdout = String::from_utf8(output.stdout).unwrap();
    let comparison = stdout.split("minus those of").nth(1).unwrap();
    let line = comparison.lines().find(|line| line.starts_with("hd95_max_directed_px")).unwrap();
    // Six patients of two cases each, all closer by 3 pixels: p = 2 / 2^6.
    assert!(line.contains("-3.0000") && line.contains("3.12e-2"), "{line}");
    compare(&["--patient-until", "_", "--tolerance", "3px"]).code(1).stderr(contains("tolerance: 2px against 3px"));
    compare(&[]).code(1).stderr(contains("belongs to patient"));
}

/// The same masks in every depth give the same numbers; what is no mask is named.
#[test]
fn masks_are_judged_by_the_files_own_values() {
    let sixteen = |mask: &GrayImage, value: u16| {
        let pixel = |x, y| Luma([u16::from(mask.get_pixel(x, y)[0] > 0) * value]);
        DynamicImage::ImageLuma16(image::ImageBuffer::from_fn(mask.width(), mask.height(), pixel))
    };
    let eight = |mask: &GrayImage, value: u8| {
        DynamicImage::ImageLuma8(GrayImage::from_fn(mask.width(), mask.height(), |x, y| {
            Luma([u8::from(mask.get_pixel(x, y)[0] > 0) * value])
        }))
    };
    let dice = |pred: &dyn Fn(&GrayImage) -> DynamicImage, reference: &dyn Fn(&GrayImage) -> DynamicImage| {
        let folders = Folders::new();
        pred(&bar(60, 40, 3)).save(folders.path("pred/a.png")).unwrap();
        reference(&bar(60, 40, 0)).save(folders.path("ref/a.png")).unwrap();
        let csv = folders.path("cases.csv");
        folders.command().arg("--csv").arg(&csv).assert().success();
        column(&std::fs::read_to_string(csv).unwrap(), "dice")[0].clone()
    };
    let expected = dice(&|mask| eight(mask, 255), &|mask| eight(mask, 255));
    assert_eq!(expected[..4], *"0.85");
    for value in [1, 127, 200] {
        assert_eq!(dice(&|mask| eight(mask, value), &|mask| eight(mask, value)), expected);
        assert_eq!(dice(&|mask| sixteen(mask, u16::from(value)), &|mask| sixteen(mask, 65_535)), expected);
        assert_eq!(dice(&|mask| eight(mask, 255), &|mask| sixteen(mask, u16::from(value))), expected, "mixed");
    }
}

/// A JPEG is a mask as it is for training, unless it is the photograph beside one; pages that nobody reads are told.
#[test]
fn masks_of_jpeg_and_of_several_pages_are_read() {
    let folders = Folders::new();
    for (place, shift) in [("pred", 3), ("ref", 0)] {
        save(&bar(60, 40, shift), folders.path(&format!("{place}/a.jpg")));
        save(&bar(60, 40, shift), folders.path(&format!("{place}/b.png")));
    }
    // The photograph of b beside the mask of b.
    save(&GrayImage::from_fn(60, 40, |x, y| Luma([(x * 3 + y) as u8])), folders.path("ref/b.jpg"));
    let assert = folders.command().assert().success();
    assert.stdout(contains("2 cases")).stderr(contains("1 files").and(contains("b.jpg")));
    let mut encoder = GifEncoder::new(std::fs::File::create(folders.path("pred/c.gif")).unwrap());
    let frame = |shift| Frame::new(DynamicImage::ImageLuma8(bar(60, 40, shift)).to_rgba8());
    encoder.encode_frames([frame(3), frame(0)]).unwrap();
    drop(encoder);
    save(&bar(60, 40, 0), folders.path("ref/c.png"));
    folders.command().assert().success().stdout(contains("3 cases")).stderr(contains("the first of 2 pages"));
}

/// References with a class and a rim that is not counted, predictions of 0 and 255.
#[test]
fn labels_and_ignored_pixels_are_chosen_on_purpose() {
    let folders = Folders::new();
    save(&bar(60, 40, 3), folders.path("pred/a.png"));
    let whole = bar(60, 40, 0);
    let label = |x: u32, y: u32| if x < 8 { 255 } else { u8::from(whole.get_pixel(x, y)[0] > 0) };
    save(&GrayImage::from_fn(60, 40, |x, y| Luma([label(x, y)])), folders.path("ref/a.png"));
    let refused = folders.command().assert().code(1);
    refused.stderr(contains("255 (").and(contains("--foreground")).and(contains("--ignore")));
    // The labels of the references say nothing about a prediction whose only value is one that they ignore.
    let mixed = folders.command().args(["--foreground", "1", "--ignore", "255"]).assert().code(1);
    mixed.stderr(contains("--pred-foreground"));
    let csv = folders.path("cases.csv");
    let options = ["--foreground", "1", "--ignore", "255", "--pred-foreground", "255"];
    folders.command().args(options).arg("--csv").arg(&csv).assert().success();
    let text = std::fs::read_to_string(csv).unwrap();
    // Of 20 columns of the reference 16 count, of the prediction (3 to the right) 19, and 16 are common; 6 rows each.
    let count = |name: &str| column(&text, name)[0].parse::<usize>().unwrap();
    let counts = ["true_positives", "false_positives", "false_negatives"].map(count);
    assert_eq!(counts, [96, 18, 0]);
    assert_eq!(count("true_negatives"), 52 * 40 - 96 - 18, "8 columns are not counted");
}
