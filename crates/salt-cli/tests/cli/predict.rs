//! `salt predict` and `salt parity`, from the outside.

use assert_cmd::Command;
use medseg_train::model::{PromptedSam, Segmenter};
use predicates::prelude::*;
use predicates::str::contains;
use std::path::{Path, PathBuf};

/// A file of the model crate's reference set.
fn fixture(name: &str) -> PathBuf {
    match std::env::var_os("SALT_PARITY_DIR") {
        Some(folder) => PathBuf::from(folder).join(name),
        None => Path::new(env!("CARGO_MANIFEST_DIR")).join("../sam-model/tests/fixtures").join(name),
    }
}

fn salt() -> Command {
    Command::cargo_bin("salt").unwrap()
}

fn picture(path: &Path, width: u32, height: u32) {
    image::RgbImage::from_fn(width, height, |x, y| image::Rgb([(x * 5) as u8, (y * 3) as u8, 90])).save(path).unwrap();
}

/// The reference model in a file that carries its configuration (its four decoder heads are not visible in the shapes).
fn checkpoint(folder: &Path) -> PathBuf {
    let config = std::fs::read_to_string(fixture("sam_tiny.json")).unwrap();
    let device = burn::tensor::Device::default();
    let config: sam_model::SamConfig = serde_json::from_str(&config).unwrap();
    let checkpoint = sam_model::Checkpoint::open(fixture("sam_tiny.pth")).unwrap();
    let path = folder.join("tiny.safetensors");
    checkpoint.load(&config, &device).unwrap().0.save(&path).unwrap();
    path
}

#[test]
fn a_folder_is_segmented_in_the_images_own_sizes_and_continued() {
    let folder = tempfile::tempdir().unwrap();
    let (images, out) = (folder.path().join("images"), folder.path().join("out"));
    std::fs::create_dir(&images).unwrap();
    picture(&images.join("a.png"), 70, 40);
    picture(&images.join("b.bmp"), 33, 57);
    std::fs::write(images.join("notes.txt"), "no image").unwrap();
    let weights = checkpoint(folder.path());
    let predict = || {
        let mut command = salt();
        command.arg("predict").arg("--model").arg(&weights).arg("--image").arg(&images).arg("--out").arg(&out);
        command.args(["--points", "10,12", "20,3,0", "--box", "1,1,30,35"]);
        command
    };
    predict().assert().success().stdout(contains("2 written, 0 were there already"));
    for (stem, size) in [("a", (70, 40)), ("b", (33, 57))] {
        for kind in ["mask", "probability", "overlay"] {
            assert_eq!(image::image_dimensions(out.join(format!("{stem}_{kind}.png"))).unwrap(), size);
        }
    }
    let mask = image::open(out.join("a_mask.png")).unwrap().to_luma8();
    assert!(mask.pixels().all(|pixel| pixel[0] == 0 || pixel[0] == 255));

    // One result is gone: only its image is done again.
    std::fs::remove_file(out.join("b_overlay.png")).unwrap();
    predict().assert().success().stdout(contains("1 written, 1 were there already"));
    // A broken image is named, the others are done, the exit code says that something failed.
    std::fs::write(images.join("c.png"), b"\x89PNG broken").unwrap();
    predict().assert().code(1).stdout(contains("1 failed")).stderr(contains("c.png"));
    std::fs::remove_file(images.join("c.png")).unwrap();
    // Another image under an old name is another input.
    picture(&images.join("a.png"), 31, 47);
    predict().assert().success().stdout(contains("1 written, 1 were there already"));
    assert_eq!(image::image_dimensions(out.join("a_mask.png")).unwrap(), (31, 47));
    // Other settings are other results; those of the first stay.
    predict().arg("--multimask").assert().success().stdout(contains("2 written"));
    assert!(out.join("a_3_mask.png").is_file() && out.join("a_mask.png").is_file());
}

/// A SAM 2 is told by what the file holds: prompted, and written in both forms, the second of which opens again.
#[test]
fn a_sam2_answers_and_is_exported() {
    let folder = tempfile::tempdir().unwrap();
    let (image, out) = (folder.path().join("a.png"), folder.path().join("out"));
    picture(&image, 70, 40);
    let own = Path::new(env!("CARGO_MANIFEST_DIR")).join("../sam-model/tests/fixtures/hf_sam2_tiny/model.safetensors");
    let predict = |weights: &Path, out: &Path| {
        let mut command = salt();
        command.arg("predict").arg("--model").arg(weights).arg("--image").arg(&image).arg("--out").arg(out);
        command.args(["--points", "10,12", "--box", "1,1,30,35"]);
        command
    };
    predict(&own, &out).assert().success().stdout(contains("1 written"));
    assert_eq!(image::image_dimensions(out.join("a_mask.png")).unwrap(), (70, 40));
    predict(&own, &out).arg("--multimask").assert().success();
    assert!(out.join("a_3_mask.png").is_file());
    for form in ["meta", "huggingface"] {
        let written = folder.path().join(form);
        salt().args(["export", "--format", form, "--model"]).arg(&own).arg("--out").arg(&written).assert().success();
        let again = folder.path().join(format!("of-{form}"));
        predict(&written.join("model.safetensors"), &again).assert().success();
        let mask = |folder: &Path| std::fs::read(folder.join("a_mask.png")).unwrap();
        assert_eq!(mask(&again), mask(&out), "{form}");
    }
    salt().arg("inspect").arg("--model").arg(&own).assert().success().stdout(contains("protocol Sam2"));
    // The shipped one by its name, which brings the token of automatic segmentation.
    let shipped = folder.path().join("shipped");
    let mut command = salt();
    command.args(["predict", "--model", "sam2-mini", "--image"]).arg(&image).arg("--out").arg(&shipped);
    command.assert().success().stdout(contains("1 written"));
    assert_eq!(image::image_dimensions(shipped.join("a_mask.png")).unwrap(), (70, 40));
}

/// MedSAM's file is a SAM's by its tensors: its preparation is asked for, and a trained model has its own.
#[test]
fn a_plain_checkpoint_is_prepared_as_asked() {
    let folder = tempfile::tempdir().unwrap();
    let image = folder.path().join("i.png");
    picture(&image, 50, 30);
    let weights = checkpoint(folder.path());
    let predict = |model: &Path, protocol: &str, out: &str, arguments: &[&str]| {
        let mut command = segment(model, &image, &folder.path().join(out));
        command.args(["--protocol", protocol]).args(arguments);
        command
    };
    let of_box: &[&str] = &["--box", "5,4,40,25"];
    predict(&weights, "medsam", "medsam", of_box).assert().success().stdout(contains("1 written"));
    predict(&weights, "default", "sam", of_box).assert().success();
    let probability = |out: &str| std::fs::read(folder.path().join(out).join("i_probability.png")).unwrap();
    assert_ne!(probability("medsam"), probability("sam"));
    // Another preparation is another result in the record.
    predict(&weights, "medsam", "sam", of_box).assert().success().stdout(contains("1 written"));
    assert_eq!(probability("medsam"), probability("sam"));
    predict(&weights, "med-sam", "no", of_box).assert().code(2).stderr(contains("medsam"));
    let bundle = bundle(folder.path());
    predict(&bundle, "medsam", "no", &[]).assert().code(1).stderr(contains("protocol").and(contains("its own")));
}

#[test]
fn nothing_of_the_users_is_replaced_removed_or_segmented() {
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().join("mine");
    std::fs::create_dir(&place).unwrap();
    picture(&place.join("x.png"), 30, 20);
    std::fs::write(place.join("x_mask.png"), b"an annotation").unwrap();
    std::fs::write(place.join("y_mask.png"), b"another").unwrap();
    std::fs::write(place.join("._x.png"), b"of a Mac").unwrap();
    let weights = checkpoint(folder.path());
    let predict = |out: &Path| {
        let mut command = salt();
        command.arg("predict").arg("--model").arg(&weights).arg("--image").arg(&place).arg("--out").arg(out);
        command.args(["--points", "10,12"]);
        command
    };
    let before: Vec<_> = std::fs::read_dir(&place).unwrap().flatten().map(|entry| entry.file_name()).collect();
    std::fs::rename(place.join("y_mask.png"), place.join("y_notes.dat")).unwrap();
    predict(&place).assert().code(1).stderr(contains("x_mask.png").and(contains("not replaced")));
    assert_eq!(std::fs::read(place.join("x_mask.png")).unwrap(), b"an annotation");
    assert_eq!(before.len(), 4);

    // Without the collision it may write beside the images, and does not take its own results for images.
    std::fs::rename(place.join("x_mask.png"), place.join("x_notes.dat")).unwrap();
    predict(&place).assert().success().stdout(contains("1 images: 1 written"));
    predict(&place).assert().success().stdout(contains("1 images: 0 written, 1 were there already"));
    // A result that was corrected by hand is the user's.
    picture(&place.join("x_mask.png"), 30, 20);
    let corrected = std::fs::read(place.join("x_mask.png")).unwrap();
    predict(&place).assert().code(1).stderr(contains("changed since"));
    assert_eq!(std::fs::read(place.join("x_mask.png")).unwrap(), corrected);
}

/// A bundle of two labels for inputs of 96 px.
fn bundle(folder: &Path) -> PathBuf {
    let bundle = folder.join("bundle");
    let device = burn::tensor::Device::default();
    let (sam, _) = sam_model::Sam::from_checkpoint(checkpoint(folder), &device).unwrap();
    let prompt = sam_model::AutomaticPrompt::learned(2, 32, &device);
    let content = medseg_train::bundle::BundleContent {
        labels: vec!["artery".to_owned(), "vein".to_owned()],
        preprocessing: medseg_train::bundle::Preprocessing::new(Default::default(), medseg_data::Protocol::Default, 96)
            .unwrap(),
        provenance: None,
    };
    medseg_train::bundle::write_weights(&bundle, &Segmenter::Sam(PromptedSam { sam, prompt }), content).unwrap();
    bundle
}

fn segment(model: &Path, image: &Path, out: &Path) -> Command {
    let mut command = salt();
    command.arg("predict").arg("--model").arg(model).arg("--image").arg(image).arg("--out").arg(out);
    command
}

#[test]
fn a_model_of_two_labels_writes_a_mask_for_each() {
    let folder = tempfile::tempdir().unwrap();
    let (image, out) = (folder.path().join("i.png"), folder.path().join("o"));
    picture(&image, 20, 20);
    segment(&bundle(folder.path()), &image, &out).assert().success();
    assert!(out.join("i_artery_mask.png").is_file() && out.join("i_vein_mask.png").is_file());
}

const RESULTS: [&str; 6] =
    ["artery_mask", "artery_overlay", "artery_probability", "vein_mask", "vein_overlay", "vein_probability"];

/// Large images in tiles: the same files where one tile is the image, another setting in the record, and the pixels of a tile are
/// those of the tile alone.
#[test]
fn large_images_are_segmented_in_tiles() {
    let folder = tempfile::tempdir().unwrap();
    let model = bundle(folder.path());
    let (image, whole, out) = (folder.path().join("i.png"), folder.path().join("whole"), folder.path().join("out"));
    picture(&image, 90, 60);
    segment(&model, &image, &whole).assert().success();
    let tiled = |side: &str, overlap: &str, out: &Path| {
        let mut command = segment(&model, &image, out);
        command.args(["--tile", side, "--overlap", overlap]);
        command
    };
    tiled("90", "30", &out).assert().success();
    for name in RESULTS {
        let read = |place: &Path| std::fs::read(place.join(format!("i_{name}.png"))).unwrap();
        assert_eq!(read(&out), read(&whole), "{name}");
    }
    // The same once more is there already; other tiles are another result, and the record says which.
    tiled("90", "30", &out).assert().success().stdout(contains("0 written, 1 were there already"));
    tiled("50", "10", &out).assert().success().stdout(contains("1 written"));
    let record = std::fs::read_to_string(out.join("salt-record.jsonl")).unwrap();
    let last = record.lines().last().unwrap();
    assert!(last.contains("tiles of 50 px, overlap 10 px"), "{last}");
    // The left tile begins at 0 and the next at 40: columns 0 to 39 are the left tile's alone, of the rows 0 to 9.
    let tile = folder.path().join("tile.png");
    image::open(&image).unwrap().crop_imm(0, 0, 50, 50).save(&tile).unwrap();
    let alone = folder.path().join("alone");
    segment(&model, &tile, &alone).assert().success();
    let level = |path: PathBuf| image::open(path).unwrap().to_luma8();
    let (of_tile, of_image) =
        (level(alone.join("tile_vein_probability.png")), level(out.join("i_vein_probability.png")));
    assert_eq!(of_image.dimensions(), (90, 60));
    assert!((0..10).all(|y| (0..40).all(|x| of_tile.get_pixel(x, y) == of_image.get_pixel(x, y))));

    let wrong = |arguments: &[&str]| segment(&model, &image, &out).args(arguments).assert();
    wrong(&["--tile", "50", "--overlap", "26"]).code(1).stderr(contains("at most half"));
    wrong(&["--tile", "0"]).code(1).stderr(contains("at least 1 px"));
    wrong(&["--overlap", "9"]).code(2).stderr(contains("--tile"));
    wrong(&["--tile", "50", "--points", "1,1"]).code(2).stderr(contains("--points"));
    let other = tempfile::tempdir().unwrap();
    let plain = segment(&checkpoint(other.path()), &image, &out).args(["--tile", "50"]).assert();
    plain.code(1).stderr(contains("without points and boxes"));
}

/// Images at the ends of what is possible are segmented in their own size; one beyond the limits says which option allows it.
#[test]
fn odd_and_large_images_are_segmented_or_say_why_not() {
    let folder = tempfile::tempdir().unwrap();
    let (model, images, out) = (bundle(folder.path()), folder.path().join("images"), folder.path().join("out"));
    std::fs::create_dir(&images).unwrap();
    let grey = |name: &str, width: u32, height: u32, value: fn(u32, u32) -> u8| {
        image::GrayImage::from_fn(width, height, |x, y| image::Luma([value(x, y)])).save(images.join(name)).unwrap();
    };
    grey("constant.png", 40, 30, |_, _| 0);
    grey("pixel.png", 1, 1, |_, _| 200);
    grey("small.bmp", 3, 2, |x, _| x as u8 * 90);
    grey("wide.png", 5000, 1, |x, _| (x % 251) as u8);
    grey("high.pgm", 1, 5000, |_, y| (y % 251) as u8);
    std::fs::write(images.join("bits.pbm"), b"P4 8 2\n\xa5\x5a").unwrap();
    let sixteen = image::ImageBuffer::from_fn(30, 20, |x, y| image::Luma([(x * 2000 + y) as u16]));
    image::DynamicImage::ImageLuma16(sixteen).save(images.join("sixteen.tif")).unwrap();
    let sizes = [
        ("constant", (40, 30)),
        ("pixel", (1, 1)),
        ("small", (3, 2)),
        ("wide", (5000, 1)),
        ("high", (1, 5000)),
        ("bits", (8, 2)),
        ("sixteen", (30, 20)),
    ];
    for (out, arguments) in [(out.clone(), &[][..]), (folder.path().join("tiles"), &["--tile", "512"][..])] {
        segment(&model, &images, &out).args(arguments).assert().success().stdout(contains("7 images: 7 written"));
        for (stem, size) in sizes {
            for kind in RESULTS {
                assert_eq!(image::image_dimensions(out.join(format!("{stem}_{kind}.png"))).unwrap(), size);
            }
        }
    }
    // Longer than any side that is read without a word.
    grey("long.png", 20_000, 3, |x, _| (x % 251) as u8);
    let refused = segment(&model, &images, &out).assert().code(1);
    refused
        .stderr(contains("long.png: longest side in pixels is 20000, the limit is 16384").and(contains("--max-side")));
    let allowed = ["--tile", "2000", "--max-side", "20000"];
    segment(&model, &images.join("long.png"), &out).args(allowed).assert().success();
    assert_eq!(image::image_dimensions(out.join("long_vein_mask.png")).unwrap(), (20_000, 3));
    for (option, value) in [("--max-decoded", "0"), ("--max-file", "x"), ("--max-side", "x")] {
        segment(&model, &images, &out).args([option, value]).assert().code(2).stderr(contains(option));
    }
}

/// An image in a format that is not read is one that failed, not one that is not there.
#[test]
fn images_in_formats_that_are_not_read_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let (model, images, out) = (bundle(folder.path()), folder.path().join("images"), folder.path().join("out"));
    std::fs::create_dir(&images).unwrap();
    std::fs::write(images.join("b.webp"), "RIFF").unwrap();
    let nothing = segment(&model, &images, &out).assert().code(1);
    nothing.stderr(contains("no images").and(contains("b.webp: WebP images are not read")));
    picture(&images.join("a.png"), 20, 20);
    std::fs::write(images.join("b.png.json"), "{}").unwrap();
    let some = segment(&model, &images, &out).assert().code(1);
    some.stdout(contains("2 images: 1 written, 0 were there already, 1 failed")).stderr(contains("b.webp: WebP"));
}

#[test]
fn mistakes_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let image = folder.path().join("i.png");
    picture(&image, 20, 20);
    let weights = checkpoint(folder.path());
    let predict = |image: &Path| {
        let mut command = salt();
        command.arg("predict").arg("--model").arg(&weights).arg("--image").arg(image);
        command.arg("--out").arg(folder.path().join("out"));
        command
    };
    predict(&image).args(["--points", "30,5"]).assert().code(1).stderr(contains("outside the image"));
    predict(&image).args(["--points", "a,b"]).assert().code(2).stderr(contains("expected numbers"));
    predict(&image).assert().code(1).stderr(contains("--points"));
    predict(&image).args(["--device", "gpu"]).assert().code(2).stderr(contains("cuda:N"));
    predict(&image)
        .args(["--input-size", "100", "--points", "1,1"])
        .assert()
        .code(1)
        .stderr(contains("patch of 16 px, found 100"));
    predict(&folder.path().join("absent.png")).assert().code(1).stderr(contains("absent.png"));
    let empty = folder.path().join("empty");
    std::fs::create_dir(&empty).unwrap();
    predict(&empty).assert().code(1).stderr(contains("no images"));
}
